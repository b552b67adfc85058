//! `ucr ps`.

use anyhow::Result;
use clap::Args;

use super::context::Context;
use super::inspect::{origin, status};
use super::{Format, document, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::Container;
use crate::store::RootfsRecord;

/// List running containers and provisioned root filesystems
///
/// With --quiet only the IDs of containers.
#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Also containers that ended and were kept
    #[arg(long, short)]
    all: bool,
    /// Only containers with name=TEXT in their name, or with status=STATUS, health=STATUS, id=START,
    /// label=NAME or label=NAME=VALUE; repeatable
    #[arg(long, short, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// Containers of other runtimes.
    #[arg(skip)]
    pub(super) others: Vec<Container>,
}

/// What a container has to be like.
#[derive(Clone, Debug)]
enum Filter {
    Name(String),
    Status(String),
    Health(String),
    Id(String),
    Label(String, Option<String>),
}

impl std::str::FromStr for Filter {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.split_once('=') {
            Some(("name", text)) => Ok(Self::Name(text.to_owned())),
            Some(("status", text)) => Ok(Self::Status(text.to_owned())),
            Some(("health", text)) => Ok(Self::Health(text.to_owned())),
            Some(("id", text)) => Ok(Self::Id(text.to_owned())),
            Some(("label", text)) => Ok(match text.split_once('=') {
                Some((name, value)) => Self::Label(name.to_owned(), Some(value.to_owned())),
                None => Self::Label(text.to_owned(), None),
            }),
            _ => {
                let message = format!("'{text}' is no filter");
                Err(Fault::new(Kind::Usage, message)
                    .hint("say name=, status=, health=, id= or label="))
            }
        }
    }
}

impl Filter {
    fn takes(&self, container: &Container) -> bool {
        match self {
            Self::Name(text) => {
                let name = container.record.spec.name.as_deref();
                name.is_some_and(|name| name.contains(text.as_str()))
            }
            Self::Status(text) => container.status().name() == text,
            Self::Health(text) => {
                let health = container.life.health.as_ref();
                health.map_or("none", |health| health.status.name()) == text
            }
            Self::Id(text) => container.record.id.starts_with(text.as_str()),
            Self::Label(name, value) => {
                let found = container.record.spec.labels.get(name);
                found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            }
        }
    }
}

impl Ps {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        context.heal()?;
        let store = context.store()?;
        let containers = context.state()?.all(&store)?;
        self.print(context, containers, store.rootfs_records()?)
    }

    /// Prints those that are to be shown, and those of other runtimes.
    pub(super) fn print(
        &self,
        context: &Context,
        mut containers: Vec<Container>,
        provisioned: Vec<RootfsRecord>,
    ) -> Result<Outcome> {
        containers.extend(self.others.iter().cloned());
        self.retain_shown(&mut containers);
        if context.is_quiet() {
            let mut ids = containers.iter().map(|it| &it.record.id);
            ids.try_for_each(|id| output::line(id))?;
            return Ok(Outcome::Done);
        }
        let provisioned = match self.filter.is_empty() {
            true => provisioned,
            false => Vec::new(),
        };
        if context.wants_json(Format::Text) {
            let containers = containers.iter().map(document::container);
            let rootfs = provisioned
                .iter()
                .map(document::rootfs)
                .collect::<Result<Vec<_>>>()?;
            output::json(&containers.chain(rootfs).collect::<Vec<_>>())?;
            return Ok(Outcome::Done);
        }
        let mut rows: Vec<_> = containers.iter().map(container_row).collect();
        for record in &provisioned {
            rows.push(rootfs_row(record)?);
        }
        let head = [
            "ID", "KIND", "NAME", "IMAGE", "STATUS", "CREATED", "PORTS", "WHAT",
        ];
        output::table(head, &rows)?;
        Ok(Outcome::Done)
    }

    fn retain_shown(&self, found: &mut Vec<Container>) {
        let by_status = self.filter.iter().any(|it| matches!(it, Filter::Status(_)));
        found.retain(|container| {
            let is_shown = self.all || by_status || container.is_watched;
            is_shown && self.filter.iter().all(|filter| filter.takes(container))
        });
    }
}

fn container_row(container: &Container) -> [String; 8] {
    let record = &container.record;
    [
        record.id.clone(),
        "container".into(),
        record.spec.name.clone().unwrap_or_default(),
        origin(record),
        status(container),
        output::ago(record.created_at),
        container
            .ports()
            .map(|port| port.to_string())
            .collect::<Vec<_>>()
            .join(", "),
        record.process.argv.join(" "),
    ]
}

fn rootfs_row(record: &RootfsRecord) -> Result<[String; 8]> {
    Ok([
        record.id.clone(),
        "rootfs".into(),
        String::new(),
        record.image.clone(),
        document::rootfs_status(record)?.into(),
        output::ago(record.created_at),
        String::new(),
        record.path.display().to_string(),
    ])
}
