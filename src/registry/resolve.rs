//! Names to addresses without the C library: a static binary has no NSS.
//!
//! Address literals, `localhost` (RFC 6761: always this machine), `/etc/hosts`, then the name
//! servers of `/etc/resolv.conf` with its search list, `ndots`, `timeout` and `attempts`
//! (resolv.conf(5)). UDP first, TCP when the answer does not fit. No cache: a pull asks once per
//! connection, and connections are kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Packet, PacketFlag, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::policy::{Reach, is_localhost, reach_of};

/// Most servers that are asked, as in the C library (MAXNS).
const MAX_SERVERS: usize = 3;

/// Longest look-up, in all: less than a connection may take, so that a silent name server is named.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks names up as the files of a machine say.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    hosts: PathBuf,
    conf: PathBuf,
    port: u16,
    patience: Duration,
    /// The most private place that a name may stand for.
    within: Reach,
}

/// What `/etc/resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
struct Conf {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

/// What one question brought.
enum Answer {
    Addresses(Vec<IpAddr>),
    /// The name, or this kind of address for it, does not exist.
    Nothing,
}

impl Resolver {
    /// The files in `/etc`.
    pub(super) fn system() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            conf: "/etc/resolv.conf".into(),
            port: 53,
            patience: PATIENCE,
            within: Reach::LinkLocal,
        }
    }

    /// The same for names that may not lead anywhere more private than this.
    pub(super) fn within(&self, within: Reach) -> Arc<Self> {
        Arc::new(Self {
            within,
            ..self.clone()
        })
    }

    /// The addresses of a host where it may be.
    async fn find(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let found = self.lookup(host).await?;
        let may_be = |address: &IpAddr| reach_of(*address) <= self.within;
        match found.iter().find(|address| !may_be(address)) {
            // One forbidden address is enough: it would be tried when the others do not answer.
            Some(inside) => Err(format!("host {host} is at {inside}, where it may not lead")),
            None => Ok(found),
        }
    }

    /// The addresses of a host, IPv4 first. The reason of a failure names the host.
    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let hosts = std::fs::read(&self.hosts).unwrap_or_default();
        let known = in_hosts(&String::from_utf8_lossy(&hosts), host);
        if !known.is_empty() {
            return Ok(known);
        }
        let conf = std::fs::read(&self.conf).map_err(|error| {
            format!(
                "cannot look up host {host}: {}: {error}",
                self.conf.display()
            )
        })?;
        let conf = Conf::parse(&String::from_utf8_lossy(&conf));
        if conf.servers.is_empty() {
            let file = self.conf.display();
            return Err(format!(
                "cannot look up host {host}: no name server in {file}"
            ));
        }
        self.ask_all(&conf, host).await
    }

    async fn ask_all(&self, conf: &Conf, host: &str) -> Result<Vec<IpAddr>, String> {
        let until = Instant::now() + self.patience;
        let mut trouble = None;
        for name in conf.candidates(host) {
            if Instant::now() >= until {
                break;
            }
            let (v4, v6) = tokio::join!(
                self.ask_servers(conf, &name, TYPE::A, until),
                self.ask_servers(conf, &name, TYPE::AAAA, until)
            );
            let mut addresses = Vec::new();
            for answer in [v4, v6] {
                match answer {
                    Ok(Answer::Addresses(found)) => addresses.extend(found),
                    Ok(Answer::Nothing) => {}
                    Err(why) => trouble = Some(why),
                }
            }
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        Err(match trouble {
            Some(why) => format!("cannot look up host {host}: {why}"),
            None => format!("host {host} does not exist"),
        })
    }

    async fn ask_servers(
        &self,
        conf: &Conf,
        name: &str,
        kind: TYPE,
        until: Instant,
    ) -> Result<Answer, String> {
        let mut trouble = String::new();
        for _ in 0..conf.attempts {
            for server in &conf.servers {
                let address = SocketAddr::new(*server, self.port);
                let left = until.saturating_duration_since(Instant::now());
                let wait = conf.timeout.min(left);
                let asked = tokio::time::timeout(wait, ask(address, name, kind)).await;
                match asked.unwrap_or_else(|_| Err("no answer in time".into())) {
                    Ok(answer) => return Ok(answer),
                    Err(why) => trouble = format!("name server {server}: {why}"),
                }
            }
        }
        Err(trouble)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let found = own.find(name.as_str()).await?;
            // Port 0 means: the port of the URL.
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            let addresses: Addrs = Box::new(addresses);
            Ok(addresses)
        })
    }
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.trim_end_matches('.');
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|name| name.eq_ignore_ascii_case(host))
                .then_some(address)
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

impl Conf {
    fn parse(text: &str) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MAX_SERVERS => {
                    conf.servers
                        .extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                // The last of these lines counts.
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(value))) = word.split_once(':').map(|(n, v)| (n, v.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The names to ask for, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(absolute) = host.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let dots = host.bytes().filter(|b| *b == b'.').count();
        let searched = self
            .search
            .iter()
            .map(|suffix| format!("{host}.{}", suffix.trim_matches('.')));
        if dots >= self.ndots {
            std::iter::once(host.to_owned()).chain(searched).collect()
        } else {
            searched.chain([host.to_owned()]).collect()
        }
    }
}

async fn ask(server: SocketAddr, name: &str, kind: TYPE) -> Result<Answer, String> {
    let id = query_id()?;
    let query = query(id, name, kind)?;
    let text = |error: std::io::Error| error.to_string();
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    // A fresh port per question: with the id, what a forger has to guess (RFC 5452).
    let socket = UdpSocket::bind((any, 0)).await.map_err(text)?;
    socket.connect(server).await.map_err(text)?;
    socket.send(&query).await.map_err(text)?;
    let mut buffer = [0u8; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(text)?;
        // What is not the answer to this question is ignored, as a forgery would be.
        let Ok(packet) = Packet::parse(&buffer[..length]) else {
            continue;
        };
        if !answers(&packet, id, name) {
            continue;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return ask_by_tcp(server, id, &query, name, kind).await;
        }
        return understand(&packet, kind);
    }
}

async fn ask_by_tcp(
    server: SocketAddr,
    id: u16,
    query: &[u8],
    name: &str,
    kind: TYPE,
) -> Result<Answer, String> {
    let text = |error: std::io::Error| error.to_string();
    let length = u16::try_from(query.len()).map_err(|_| "the name is too long")?;
    let mut stream = TcpStream::connect(server).await.map_err(text)?;
    let message = [&length.to_be_bytes(), query].concat();
    stream.write_all(&message).await.map_err(text)?;
    let length = stream.read_u16().await.map_err(text)?;
    let mut buffer = vec![0u8; length.into()];
    stream.read_exact(&mut buffer).await.map_err(text)?;
    match Packet::parse(&buffer) {
        Ok(packet) if answers(&packet, id, name) => understand(&packet, kind),
        _ => Err("its answer is not a DNS message".into()),
    }
}

fn query_id() -> Result<u16, String> {
    let mut bytes = [0u8; 2];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| "no randomness")?;
    Ok(u16::from_ne_bytes(bytes))
}

fn query(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, String> {
    let name = simple_dns::Name::new(name).map_err(|_| "it is not a valid name")?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let question = Question::new(name, kind.into(), CLASS::IN.into(), false);
    packet.questions.push(question);
    packet
        .build_bytes_vec()
        .map_err(|_| "it is not a valid name".to_owned())
}

fn answers(packet: &Packet<'_>, id: u16, name: &str) -> bool {
    packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && packet
            .questions
            .iter()
            .all(|question| question.qname.to_string().eq_ignore_ascii_case(name))
}

fn understand(packet: &Packet<'_>, kind: TYPE) -> Result<Answer, String> {
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(Answer::Nothing),
        code => return Err(format!("it answers {code:?}")),
    }
    // Aliases need no following: a recursive server sends the whole chain.
    let addresses: Vec<IpAddr> = packet
        .answers
        .iter()
        .filter_map(|record| match (&record.rdata, kind) {
            (RData::A(a), TYPE::A) => Some(Ipv4Addr::from(a.address).into()),
            (RData::AAAA(a), TYPE::AAAA) => Some(Ipv6Addr::from(a.address).into()),
            _ => None,
        })
        .collect();
    Ok(if addresses.is_empty() {
        Answer::Nothing
    } else {
        Answer::Addresses(addresses)
    })
}

#[cfg(test)]
mod tests;
