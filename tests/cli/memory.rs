//! A big layer passes through, not into memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::digest_reader;
use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::process::Running;
use crate::support::raw_tar::RawTar;
use crate::support::registry::Registry;
use crate::support::scratch::Scratch;
use crate::support::ucr::Ucr;

const GIB: u64 = 1 << 30;
const LIMIT_KIB: u64 = 200 << 10;

#[test]
fn a_layer_of_1_gib_in_less_than_200_mib() {
    let scratch = Scratch::new();
    let tar = scratch.join("layer.tar");
    write_tar(&tar);
    let (diff_id, _) = digest_reader(&mut File::open(&tar).unwrap());
    let blob = scratch.join("layer.tar.gz");
    compress(&tar, &blob);
    fs::remove_file(tar).unwrap();
    let compressed = fs::metadata(&blob).unwrap().len();
    assert!(compressed > GIB * 9 / 10, "{compressed} bytes are too easy");
    let layer = Layer::from_blob(blob, Packing::Gzip, diff_id);
    let layout = Layout::of("big", &Image::new().layer(layer));
    let registry = Registry::open();
    let reference = registry.push(&layout, "big", "demo/gib:1");
    drop(layout);

    let ucr = Ucr::new();
    let pull = ucr.cmd(["pull", &reference]).spawn();
    let peak = peak_kib(&pull, Duration::from_secs(300));
    pull.finish(Duration::from_secs(1)).ok();
    assert!(peak > 0, "nothing was measured");
    assert!(peak < LIMIT_KIB, "peak {peak} KiB, allowed {LIMIT_KIB}");
    eprintln!("peak of the pull: {peak} KiB");
}

/// A long name of 2 GiB, for which no more memory is taken than for a short one.
#[test]
fn an_archive_with_an_endless_header() {
    for kind in [b'L', b'K', b'x'] {
        let ucr = Ucr::new();
        let header = RawTar::new().header(kind, "long", "").size(2 * GIB);
        let archive = ucr.scratch().file("a.tar", &header.bytes()[..512]);
        let file = File::options().append(true).open(&archive).unwrap();
        file.set_len(2 * GIB + 512).unwrap();
        let image = format!("oci-archive:{}", archive.display());
        let pull = ucr.cmd(["pull", &image]).spawn();
        let peak = peak_kib(&pull, Duration::from_secs(60));
        pull.finish(Duration::from_secs(1))
            .refused(&["a header in it is over 1024 KiB"]);
        assert!(peak < 32 << 10, "peak {peak} KiB");
    }
}

/// One file of 1 GiB: a mebibyte of noise, over and over, which gzip's window of 32 KiB cannot see.
fn write_tar(path: &std::path::Path) {
    let mut header = tar::Header::new_ustar();
    header.set_path("big").unwrap();
    header.set_mode(0o644);
    header.set_size(GIB);
    header.set_cksum();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = Vec::with_capacity(1 << 20);
    while noise.len() < 1 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    out.write_all(header.as_bytes()).unwrap();
    for _ in 0..GIB >> 20 {
        out.write_all(&noise).unwrap();
    }
    out.write_all(&[0; 1024]).unwrap();
    out.flush().unwrap();
}

fn compress(from: &std::path::Path, to: &std::path::Path) {
    let out = BufWriter::with_capacity(1 << 20, File::create(to).unwrap());
    let mut encoder = GzEncoder::new(out, Compression::fast());
    std::io::copy(&mut File::open(from).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap().flush().unwrap();
}

/// Looks at the process group until the leader ends; the sum of the members' high-water marks. The
/// kernel keeps the marks, so looking now and then misses only what happens in the last moment.
fn peak_kib(running: &Running, limit: Duration) -> u64 {
    let deadline = std::time::Instant::now() + limit;
    let mut peak = 0;
    while !running.ended_within(Duration::from_millis(10)) {
        assert!(
            std::time::Instant::now() < deadline,
            "the pull takes over {limit:?}"
        );
        peak = peak.max(group_kib(running.pid().as_raw()));
    }
    peak
}

fn group_kib(group: i32) -> u64 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let members = processes.filter(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in parentheses may contain anything; the group is the third field after it.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        fields.split(' ').nth(2) == Some(&group.to_string())
    });
    members.map(|entry| high_water_kib(&entry.path())).sum()
}

fn high_water_kib(process: &std::path::Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
