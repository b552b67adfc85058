//! Mounts: always `--mount`, which makes nothing on the host, but for tmpfs with options that it has
//! no words for.

use std::path::Path;

use super::Circumstances;
use super::words::{Words, part, refuse, text};
use crate::error::{Fault, Kind};
use crate::spec::mount::{
    Access, Bind, Propagation, Recursive, Source, Tmpfs, Volume, mounts, target,
};
use crate::spec::{ContainerSpec, Mount, SANDBOX};

const OPTION: &str = "--mount";

pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    // What makes no list of mounts under the native runtime makes none here.
    mounts(spec, circumstances.config).map_err(|error| match error.downcast() {
        Ok(fault) => fault,
        Err(error) => Fault::new(Kind::Spec, format!("{error:#}")),
    })?;
    if let Some(path) = &spec.sandbox {
        let source = text(path, "sandbox", "--sandbox")?;
        let fields = Fields::new("bind").with("source", source);
        words.option(OPTION, fields.with("target", SANDBOX).line("sandbox")?);
    }
    for (place, mount) in spec.mounts.iter().enumerate() {
        let path = target(&mount.target, spec.sandbox_inside())?;
        let one = One {
            field: format!("mounts[{place}]"),
            mount,
            target: &path,
            circumstances,
        };
        let (option, value) = one.word()?;
        words.option(option, value);
    }
    Ok(())
}

/// One mount, and where it is.
struct One<'a> {
    field: String,
    mount: &'a Mount,
    target: &'a Path,
    circumstances: &'a Circumstances<'a>,
}

impl One<'_> {
    fn refuse(&self, what: &str, why: &str, instead: &str) -> Fault {
        refuse(&self.field, &format!("{OPTION} {what}"), why, instead)
    }

    fn since(&self, api: (u32, u32), what: &str) -> Result<(), Fault> {
        let option = format!("{OPTION} {what}");
        self.circumstances.since(api, &self.field, &option)
    }

    /// The option and its value.
    fn word(&self) -> Result<(&'static str, String), Fault> {
        let fields = match &self.mount.source {
            Source::Bind(bind) => self.bind(bind)?,
            Source::Volume(volume) => self.volume(volume)?,
            Source::Tmpfs(tmpfs) => return self.tmpfs(tmpfs),
            Source::Image(_) => {
                let why = "Docker Engine shows no other image's files";
                return Err(self.refuse("type=image", why, "copy them into a volume"));
            }
        };
        Ok((OPTION, fields.line(&self.field)?))
    }

    fn target(&self) -> Result<&str, Fault> {
        text(self.target, &self.field, OPTION)
    }

    /// Docker restricts what is bound by nothing but "read-only"; that nodes of devices there are
    /// of no use, as by default, its device cgroup sees to.
    fn refuse_restrictions(&self) -> Result<(), Fault> {
        let Access {
            no_exec,
            no_suid,
            no_dev,
            ..
        } = self.mount.access;
        for (word, asked) in [("noexec", no_exec), ("nosuid", no_suid), ("nodev", no_dev)] {
            if asked == Some(true) {
                let why = "Docker Engine has it for tmpfs only";
                return Err(self.refuse(word, why, "mount the source so on the host"));
            }
        }
        Ok(())
    }

    fn bind(&self, bind: &Bind) -> Result<Fields, Fault> {
        self.refuse_restrictions()?;
        if bind.subpath.is_some() {
            let why = "Docker Engine has it for volumes only";
            return Err(self.refuse("subpath", why, "name the part itself as the source"));
        }
        if bind.idmap.is_some() {
            let why = "Docker Engine maps no owners of files";
            return Err(self.refuse("idmap", why, "chown the source"));
        }
        let source = text(&bind.path, &self.field, OPTION)?;
        let mut fields = Fields::new("bind").with("source", source);
        fields = fields.with("target", self.target()?);
        let read_only = self.mount.is_read_only();
        if read_only {
            fields = fields.flag("readonly");
        }
        let forced = read_only && bind.recursive == Some(Recursive::Readonly);
        let propagation = bind.propagation.map(recursive_name);
        let propagation = propagation.or(forced.then_some("rprivate"));
        if let (true, Some(other @ ("rslave" | "rshared"))) = (forced, propagation) {
            let why = format!("docker takes it with rprivate only, not with {other}");
            return Err(self.refuse("bind-recursive=readonly", &why, "leave one of them out"));
        }
        if let Some(propagation) = propagation {
            fields = fields.with("bind-propagation", propagation);
        }
        self.recursive(bind.recursive, read_only, fields)
    }

    /// What is mounted below a bind. Since API 1.44 that is read-only where the bind is and the
    /// kernel can; before it never was, which is refused only to those who insist.
    fn recursive(
        &self,
        asked: Option<Recursive>,
        read_only: bool,
        fields: Fields,
    ) -> Result<Fields, Fault> {
        const SINCE: (u32, u32) = (1, 44);
        let is_new = self.circumstances.api >= SINCE;
        Ok(match asked {
            None => fields,
            Some(Recursive::Disabled) if is_new => fields.with("bind-recursive", "disabled"),
            Some(Recursive::Disabled) => {
                self.since((1, 40), "bind-recursive=disabled")?;
                fields.flag("bind-nonrecursive")
            }
            Some(Recursive::Enabled | Recursive::Readonly | Recursive::Writable) if !read_only => {
                fields
            }
            Some(Recursive::Writable) if is_new => fields.with("bind-recursive", "writable"),
            Some(Recursive::Writable) => fields,
            Some(Recursive::Enabled) => {
                self.since(SINCE, "bind-recursive=enabled")?;
                fields.with("bind-recursive", "enabled")
            }
            Some(Recursive::Readonly) => {
                self.since(SINCE, "bind-recursive=readonly")?;
                fields.with("bind-recursive", "readonly")
            }
        })
    }

    fn volume(&self, volume: &Volume) -> Result<Fields, Fault> {
        self.refuse_restrictions()?;
        let mut fields = Fields::new("volume");
        if let Some(name) = &volume.name {
            if name.len() < 2 {
                let why = "Docker Engine's names of volumes have two letters or more";
                return Err(self.refuse("source", why, "choose a longer one"));
            }
            fields = fields.with("source", name);
        }
        fields = fields.with("target", self.target()?);
        if self.mount.is_read_only() {
            fields = fields.flag("readonly");
        }
        if volume.no_copy {
            fields = fields.flag("volume-nocopy");
        }
        if let Some(path) = &volume.subpath {
            self.since((1, 45), "volume-subpath")?;
            fields = fields.with("volume-subpath", text(path, &self.field, OPTION)?);
        }
        Ok(fields)
    }

    /// noexec, nosuid and nodev are docker's defaults as ours; only the other option takes them away
    /// and knows owners.
    fn tmpfs(&self, tmpfs: &Tmpfs) -> Result<(&'static str, String), Fault> {
        let lifted = self.lifted();
        if lifted.is_empty() && tmpfs.uid.is_none() && tmpfs.gid.is_none() {
            let mut fields = Fields::new("tmpfs").with("target", self.target()?);
            if self.mount.is_read_only() {
                fields = fields.flag("readonly");
            }
            if let Some(bytes) = tmpfs.size_bytes {
                fields = fields.with("tmpfs-size", &bytes.to_string());
            }
            if let Some(mode) = tmpfs.mode {
                fields = fields.with("tmpfs-mode", &format!("{mode:o}"));
            }
            return Ok((OPTION, fields.line(&self.field)?));
        }
        let target = part(self.target, &self.field, "--tmpfs")?;
        let mut options: Vec<String> = lifted.into_iter().map(str::to_owned).collect();
        if self.mount.is_read_only() {
            options.push("ro".to_owned());
        }
        options.extend(tmpfs.size_bytes.map(|bytes| format!("size={bytes}")));
        options.extend(tmpfs.mode.map(|mode| format!("mode={mode:o}")));
        options.extend(tmpfs.uid.map(|uid| format!("uid={uid}")));
        options.extend(tmpfs.gid.map(|gid| format!("gid={gid}")));
        Ok(("--tmpfs", format!("{target}:{}", options.join(","))))
    }

    /// Restrictions that are not wanted.
    fn lifted(&self) -> Vec<&'static str> {
        let access = self.mount.access;
        let all = [
            ("exec", access.no_exec),
            ("suid", access.no_suid),
            ("dev", access.no_dev),
        ];
        let lifted = all.into_iter().filter(|(_, asked)| *asked == Some(false));
        lifted.map(|(word, _)| word).collect()
    }
}

/// With and without `r` are the same to ucr, and always mean all that is below.
fn recursive_name(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Rprivate | Propagation::Private => "rprivate",
        Propagation::Rslave | Propagation::Slave => "rslave",
        Propagation::Rshared | Propagation::Shared => "rshared",
    }
}

/// The value of `--mount`: a line of comma-separated values as Go's encoding/csv reads it.
struct Fields(Vec<String>);

impl Fields {
    fn new(kind: &str) -> Self {
        Self(vec![format!("type={kind}")])
    }

    fn flag(mut self, key: &str) -> Self {
        self.0.push(key.to_owned());
        self
    }

    fn with(self, key: &str, value: &str) -> Self {
        self.flag(&format!("{key}={value}"))
    }

    /// `of` is the description's field.
    fn line(&self, of: &str) -> Result<String, Fault> {
        let fields: Result<Vec<_>, Fault> = self.0.iter().map(|it| quoted(it, of)).collect();
        Ok(fields?.join(","))
    }
}

fn quoted(field: &str, of: &str) -> Result<String, Fault> {
    // The reader drops a return before a new line, even between quotes.
    if field.contains('\r') {
        let why = "docker takes no carriage return in it";
        return Err(refuse(of, OPTION, why, "rename it"));
    }
    match field.contains([',', '"', '\n']) {
        true => Ok(format!("\"{}\"", field.replace('"', "\"\""))),
        false => Ok(field.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_as_csv() {
        let rows = [
            ("a b", "a b"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a=b'c", "a=b'c"),
        ];
        for (field, expected) in rows {
            assert_eq!(quoted(field, "f").unwrap(), expected);
            // Our own reader of docker's form finds the same again.
            if field != "a=b'c" {
                let line = Fields::new("tmpfs").with("target", &format!("/{field}"));
                let read = Mount::from_fields(&line.line("f").unwrap()).unwrap();
                assert_eq!(read.target, Path::new(&format!("/{field}")));
            }
        }
        assert!(quoted("a\r\nb", "f").is_err());
    }
}
