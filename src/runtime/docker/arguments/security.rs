//! What its processes may do: capabilities, filter, labels, users.

use super::Circumstances;
use super::words::{Words, refuse, text};
use crate::error::{Fault, Kind};
use crate::spec::{Capabilities, ContainerSpec, Seccomp, Security, Userns, capabilities};

const OPTION: &str = "--security-opt";

pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let security = &spec.security;
    if security.privileged {
        words.switch("--privileged");
    } else {
        rights(security, circumstances, words)?;
    }
    let is_fixed = security.no_new_privileges.unwrap_or(!security.privileged);
    words.option(OPTION, format_args!("no-new-privileges={is_fixed}"));
    filter(security, circumstances, words)?;
    labels(security, circumstances, words)?;
    if security.unmask_system_paths {
        words.option(OPTION, "systempaths=unconfined");
    }
    match &security.userns {
        None | Some(Userns::Host) => {
            words.option("--userns", "host");
            Ok(())
        }
        Some(Userns::Auto | Userns::Map(_)) => {
            let why = "Docker Engine maps the users of all containers alike, or of none";
            let instead = "set up the Engine's userns-remap and say --docker-param userns=";
            Err(refuse("security.userns", "--userns", why, instead))
        }
    }
}

/// Nothing but what is decided here. `ALL` is for an Engine to say that can have all, for its kernel
/// may know others.
fn rights(
    security: &Security,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let (all, available) = (caps::all(), circumstances.capabilities);
    capabilities(security, &all)?;
    let Ok(Capabilities { bounding, .. }) = capabilities(security, available) else {
        let message = "security.cap_add (--cap-add): the Engine itself does not have all of them";
        let hint = "start the Engine with them, or leave them out";
        return Err(Fault::new(Kind::Unsupported, message).hint(hint));
    };
    let name = |it: &caps::Capability| it.to_string().trim_start_matches("CAP_").to_owned();
    let mut added = security.cap_add.iter();
    if *available == all && added.any(|word| word.eq_ignore_ascii_case("ALL")) {
        words.option("--cap-add", "ALL");
        let mut dropped: Vec<_> = all.iter().filter(|it| !bounding.contains(it)).collect();
        dropped.sort_by_key(|it| it.index());
        words.each("--cap-drop", dropped.into_iter().map(name));
        return Ok(());
    }
    words.option("--cap-drop", "ALL");
    words.each("--cap-add", bounding.iter().map(name));
    Ok(())
}

fn filter(
    security: &Security,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let field = "security.seccomp";
    let option = "--security-opt seccomp";
    let file = match &security.seccomp {
        Some(Seccomp::Unconfined) => None,
        None if security.privileged => None,
        Some(_) if security.privileged => {
            let why = "Docker Engine gives a privileged container no filter";
            return Err(refuse(field, option, why, "leave out --privileged"));
        }
        None | Some(Seccomp::BuiltIn) => Some(circumstances.seccomp),
        Some(Seccomp::File(path)) => Some(path.as_path()),
    };
    let value = match file {
        Some(path) => text(path, field, option)?,
        None => "unconfined",
    };
    words.option(OPTION, format_args!("seccomp={value}"));
    Ok(())
}

/// An Engine whose host lacks the module would ignore them.
fn labels(
    security: &Security,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let lacks = |field: &str, option: &str, module: &str| {
        let message = format!("{field} ({option}): the Engine's host does not run {module}");
        Err(Fault::new(Kind::Unsupported, message).hint("leave it out for this Engine"))
    };
    for (place, label) in security.selinux.iter().enumerate() {
        if label != "disable" && !circumstances.selinux {
            let field = format!("security.selinux[{place}]");
            return lacks(&field, "--security-opt label", "SELinux");
        }
        words.option(OPTION, format_args!("label={label}"));
    }
    if let Some(profile) = &security.apparmor {
        if profile != "unconfined" && !circumstances.apparmor {
            return lacks("security.apparmor", "--security-opt apparmor", "AppArmor");
        }
        words.option(OPTION, format_args!("apparmor={profile}"));
    }
    Ok(())
}
