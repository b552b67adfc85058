//! Where requests and credentials may go: plain http, token realms, redirects.
//!
//! Pure. The rule behind all of it: a server may send us elsewhere, but never from a more public
//! place to a more private one (cloud metadata, services on loopback), never from https to http,
//! and a credential never follows. CVE-2020-15157 and CVE-2026-48978 are what happens otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// How private a host is, most public first. Names other than `localhost` count as public; what a
/// name that a server gave us resolves to is judged once more, by [`reach_of`] and [`moved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reach {
    /// A name, or an address of the open Internet.
    Public,
    /// RFC 1918, RFC 6598, unique local.
    Private,
    /// This machine.
    Loopback,
    /// Only this wire; where clouds put their metadata services.
    LinkLocal,
}

/// How private the host of a URL, as [`Url::host_str`] writes it, is.
pub(super) fn reach(host: &str) -> Reach {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => reach_of(address),
        Err(_) if is_localhost(bare) => Reach::Loopback,
        Err(_) => Reach::Public,
    }
}

/// How private an address is.
pub(super) fn reach_of(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// Where a name may lead that a server sent us to, when we might have gone as far as `within`: into
/// private networks, as registries of private networks do, but not to a metadata service.
pub(super) fn moved(within: Reach) -> Reach {
    within.min(Reach::Loopback)
}

/// `localhost` and everything below it (RFC 6761 section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, ..] = address.octets();
    // 0.0.0.0 reaches this machine on Linux.
    if address.is_loopback() || a == 0 {
        Reach::Loopback
    } else if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
        Reach::LinkLocal
    } else if address.is_private() || (a == 100 && b & 0xc0 == 64) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(v4) = embedded_v4(address) {
        return reach_v4(v4).max(own_reach_v6(address));
    }
    own_reach_v6(address)
}

fn own_reach_v6(address: Ipv6Addr) -> Reach {
    // What a network translates locally is its own business (RFC 8215).
    let is_local_nat64 = matches!(address.segments(), [0x64, 0xff9b, 1, ..]);
    if address.is_loopback() || address.is_unspecified() {
        Reach::Loopback
    } else if address.is_unicast_link_local() || address.is_multicast() {
        Reach::LinkLocal
    } else if address.is_unique_local() || is_local_nat64 {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// The IPv4 address that a gateway makes of an IPv6 one: mapped (RFC 4291 section 2.5.5.2), NAT64
/// (RFC 6052, RFC 8215), 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(from(high, low)),
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Whether two URLs are one place for a credential: scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Checks what a server sends us to, seen from the place that we asked. The reason of a refusal
/// names the host but never the query, which may be a signature.
fn check_step(registry: &Url, from: &Url, to: &Url) -> Result<(), String> {
    let host = to.host_str().unwrap_or_default();
    if !matches!(to.scheme(), "http" | "https") || host.is_empty() {
        return Err(format!("'{}' is not http or https", to.scheme()));
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(format!("the address of {host} carries a user name"));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(format!("it leads from https to plain http on {host}"));
    }
    if to.host_str() == registry.host_str() {
        return Ok(());
    }
    let own = registry.host_str().map_or(Reach::Public, reach);
    let other = reach(host);
    if other > own || other == Reach::LinkLocal {
        let what = match other {
            Reach::Loopback => "the loopback address",
            Reach::LinkLocal => "the link-local address",
            Reach::Private | Reach::Public => "the private address",
        };
        return Err(format!("it leads to {what} {host}"));
    }
    Ok(())
}

/// Whether a redirect may be followed.
pub(super) fn check_redirect(registry: &Url, from: &Url, to: &Url) -> Result<(), String> {
    check_step(registry, from, to)
}

/// Whether a URL out of a manifest may be asked: nobody vouches for it, so only public hosts.
pub(super) fn check_foreign(url: &Url) -> Result<(), String> {
    match url.host_str() {
        Some(host) if reach(host) == Reach::Public => check_step(url, url, url),
        Some(host) => Err(format!("{host} is not a public host")),
        None => Err("it has no host".into()),
    }
}

/// Whether a credential may be shown to this token realm. Beyond the rules for redirects, plain
/// http needs a registry that is itself on plain http, and the same host or loopback on both ends.
pub(super) fn check_realm(registry: &Url, realm: &str) -> Result<Url, String> {
    let url = Url::parse(realm).map_err(|_| "it is not an absolute URL".to_owned())?;
    check_step(registry, registry, &url)?;
    let host = url.host_str().unwrap_or_default();
    let both_loopback =
        reach(host) == Reach::Loopback && registry.host_str().map(reach) == Some(Reach::Loopback);
    if url.scheme() == "http" && registry.host_str() != Some(host) && !both_loopback {
        return Err(format!("it is plain http on another host, {host}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches() {
        let rows = [
            ("registry-1.docker.io", Reach::Public),
            ("8.8.8.8", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("[2001:db8::1]", Reach::Public),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("[fd00::1]", Reach::Private),
            ("[::ffff:10.0.0.1]", Reach::Private),
            ("127.0.0.1", Reach::Loopback),
            ("127.9.9.9", Reach::Loopback),
            ("0.0.0.0", Reach::Loopback),
            ("[::1]", Reach::Loopback),
            ("[::ffff:127.0.0.1]", Reach::Loopback),
            ("localhost", Reach::Loopback),
            ("LOCALHOST.", Reach::Loopback),
            ("reg.localhost", Reach::Loopback),
            ("notlocalhost", Reach::Public),
            ("169.254.169.254", Reach::LinkLocal),
            ("[fe80::1]", Reach::LinkLocal),
            ("[64:ff9b::8.8.8.8]", Reach::Public),
            ("[64:ff9b::10.0.0.1]", Reach::Private),
            ("[64:ff9b::169.254.169.254]", Reach::LinkLocal),
            ("[64:ff9b:1::8.8.8.8]", Reach::Private),
            ("[64:ff9b:1::127.0.0.1]", Reach::Loopback),
            ("[2002:808:808::1]", Reach::Public),
            ("[2002:a00:1::1]", Reach::Private),
            ("[2002:a9fe:a9fe::]", Reach::LinkLocal),
        ];
        for (host, expected) in rows {
            assert_eq!(reach(host), expected, "{host}");
        }
    }

    #[test]
    fn redirects() {
        let rows = [
            ("https://r.io/", "https://cdn.io/x", None),
            ("https://r.io/", "https://r.io:444/x", None),
            ("https://r.io/", "http://cdn.io/x", Some("plain http")),
            ("https://r.io/", "https://127.0.0.1/x", Some("loopback")),
            ("https://r.io/", "https://localhost/x", Some("loopback")),
            ("https://r.io/", "https://10.0.0.1/x", Some("private")),
            (
                "https://r.io/",
                "https://[::ffff:7f00:1]/x",
                Some("loopback"),
            ),
            (
                "https://r.io/",
                "https://169.254.169.254/x",
                Some("link-local"),
            ),
            (
                "http://127.0.0.1:1/",
                "http://169.254.169.254/x",
                Some("link-local"),
            ),
            ("https://10.0.0.1/", "https://10.0.0.2/x", None),
            ("https://10.0.0.1/", "https://127.0.0.1/x", Some("loopback")),
            ("http://127.0.0.1:1/", "http://localhost:2/x", None),
            ("http://127.0.0.1:1/", "https://cdn.io/x", None),
            ("https://r.io/", "https://u:p@cdn.io/x", Some("user name")),
            ("https://r.io/", "ftp://cdn.io/x", Some("not http")),
            ("https://r.io/", "file:///etc/passwd", Some("not http")),
        ];
        for (from, to, refused) in rows {
            let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            let found = check_redirect(&from, &from, &to).err();
            match refused {
                None => assert_eq!(found, None, "{from} -> {to}"),
                Some(why) => assert!(
                    found.clone().unwrap_or_default().contains(why),
                    "{to}: {found:?}"
                ),
            }
        }
    }

    #[test]
    fn realms() {
        let rows = [
            ("https://r.io/", "https://auth.io/token", None),
            ("https://r.io/", "http://auth.io/token", Some("plain http")),
            ("https://r.io/", "http://r.io/token", Some("plain http")),
            ("https://r.io/", "/token", Some("absolute")),
            ("https://r.io/", "", Some("absolute")),
            ("https://r.io/", "https://192.168.0.1/t", Some("private")),
            ("https://192.168.0.1/", "https://192.168.0.1:5001/t", None),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/t", None),
            ("http://127.0.0.1:5000/", "http://localhost:5001/t", None),
            ("http://127.0.0.1:5000/", "https://auth.io/t", None),
            (
                "http://127.0.0.1:5000/",
                "http://auth.io/t",
                Some("another host"),
            ),
            ("http://r.io/", "http://r.io:81/t", None),
            ("http://r.io/", "http://auth.io/t", Some("another host")),
            (
                "https://r.io/",
                "https://169.254.169.254/t",
                Some("link-local"),
            ),
        ];
        for (registry, realm, refused) in rows {
            let found = check_realm(&Url::parse(registry).unwrap(), realm).err();
            match refused {
                None => assert_eq!(found, None, "{registry} -> {realm}"),
                Some(why) => assert!(
                    found.clone().unwrap_or_default().contains(why),
                    "{registry} -> {realm}: {found:?}"
                ),
            }
        }
    }
}
