//! What a task's description means for its life: when it ends, what is checked. Pure.

use std::fmt::Write;
use std::time::Duration;

use super::api::{CheckStatus, Reason};
use super::task::{GRACE, Order, Refusal};
use crate::checks::Question as Asked;
use crate::checks::{Check, Command, IpVersion, Pace, Patience, Scheme, Subject};
use crate::frontend::mesos::{Findings, HttpScheme, ProbeCommand, Question, TaskDefinition};

/// Longest message of a status, in bytes: the agent keeps them all.
const MAX_MESSAGE: usize = 4096;

/// What the machine of tasks has to know.
pub fn order(definition: &TaskDefinition) -> Order {
    let check = definition.check.as_ref();
    Order {
        grace: definition
            .grace
            .or_else(|| app_grace(definition))
            .unwrap_or(GRACE),
        max_completion: definition.max_completion,
        check: check.map(|check| match check.question {
            Question::Command(_) => CheckStatus::Command(None),
            Question::Http { .. } => CheckStatus::Http(None),
            Question::Tcp { .. } => CheckStatus::Tcp(None),
        }),
    }
}

/// An app's own; what is no number is refused when it is read.
fn app_grace(definition: &TaskDefinition) -> Option<Duration> {
    let app = definition.app.as_ref()?;
    let seconds = app.get("taskKillGracePeriodSeconds")?.as_u64()?;
    Some(Duration::from_secs(seconds))
}

/// Why there is no such task: as many findings as fit.
pub fn refusal(findings: &Findings) -> Refusal {
    let mut message = String::new();
    for finding in findings.0.iter().filter(|it| it.is_error()) {
        let before = message.len();
        let sign = if before == 0 { "" } else { "; " };
        // A String takes everything.
        let _ = write!(message, "{sign}{finding}");
        if let Some(hint) = &finding.hint {
            let _ = write!(message, " (hint: {hint})");
        }
        if message.len() > MAX_MESSAGE && before > 0 {
            message.truncate(before);
            message.push_str("; …");
            break;
        }
    }
    Refusal {
        reason: Reason::TaskInvalid,
        message,
    }
}

/// The health check, then the generic one.
pub fn checks(definition: &TaskDefinition) -> Vec<Check> {
    let health = definition.health.iter().map(|it| {
        let pace = Pace {
            interval: it.interval,
            timeout: it.timeout,
        };
        let patience = Patience {
            grace: it.grace,
            max_failures: it.consecutive_failures,
        };
        Check::mesos(subject(&it.question), it.delay, pace, patience)
    });
    let generic = definition.check.iter().map(|it| {
        let pace = Pace {
            interval: it.interval,
            timeout: it.timeout,
        };
        Check::report(subject(&it.question), it.delay, pace)
    });
    health.chain(generic).collect()
}

fn subject(question: &Question) -> Subject {
    match question {
        Question::Command(ProbeCommand::Shell(text)) => {
            Subject::Command(Command::Shell(text.clone()))
        }
        Question::Command(ProbeCommand::Argv(argv)) => {
            Subject::Command(Command::Argv(argv.clone()))
        }
        Question::Http {
            scheme,
            port,
            path,
            is_ipv6,
        } => {
            let scheme = match scheme {
                HttpScheme::Http => Scheme::Http,
                HttpScheme::Https => Scheme::Https,
            };
            Subject::Port {
                ip: version(*is_ipv6),
                port: *port,
                question: Asked::Get(scheme, path.clone()),
            }
        }
        Question::Tcp { port, is_ipv6 } => Subject::Port {
            ip: version(*is_ipv6),
            port: *port,
            question: Asked::Connect,
        },
    }
}

fn version(is_ipv6: bool) -> IpVersion {
    match is_ipv6 {
        true => IpVersion::V6,
        false => IpVersion::V4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Role;
    use crate::frontend::mesos::{Generic, Health};

    #[test]
    fn orders_and_checks() {
        let second = Duration::from_secs(1);
        let question = Question::Tcp {
            port: 80,
            is_ipv6: true,
        };
        let definition = TaskDefinition {
            grace: None,
            health: Some(Health {
                question: Question::Command(ProbeCommand::Shell("true".into())),
                delay: second,
                interval: second,
                timeout: second,
                consecutive_failures: 3,
                grace: second,
            }),
            check: Some(Generic {
                question: question.clone(),
                delay: second,
                interval: second,
                timeout: second,
            }),
            ..TaskDefinition::default()
        };
        let app = |seconds: serde_json::Value| TaskDefinition {
            app: Some(serde_json::json!({"taskKillGracePeriodSeconds": seconds})),
            ..TaskDefinition::default()
        };
        assert_eq!(order(&app(7.into())).grace, Duration::from_secs(7));
        assert_eq!(order(&app("x".into())).grace, GRACE);
        let order = order(&definition);
        assert_eq!(order.grace, GRACE);
        assert_eq!(order.check, Some(CheckStatus::Tcp(None)));
        let all = checks(&definition);
        assert!(matches!(all[0].role(), Role::Health(_)));
        assert_eq!(all[1].role(), &Role::Report);
        let Subject::Port { ip, port, question } = subject(&question) else {
            panic!("it is a port");
        };
        assert_eq!((ip, port, question), (IpVersion::V6, 80, Asked::Connect));
    }

    #[test]
    fn a_refusal_says_what_fits() {
        let mut findings = Findings::default();
        findings.add("/x", "W:no-effect", "nothing");
        findings.add("/container", "E:required", "is required");
        findings.advise("/data", "E:type", "is text", "say a list");
        let found = refusal(&findings);
        assert_eq!(found.reason, Reason::TaskInvalid);
        let expected =
            "/container: is required [E:required]; /data: is text [E:type] (hint: say a list)";
        assert_eq!(found.message, expected);
        for _ in 0..900 {
            findings.add("/data/command", "E:type", "is text, but has to be a number");
        }
        let message = refusal(&findings).message;
        assert!(message.len() < MAX_MESSAGE + 10 && message.ends_with('…'));
    }
}
