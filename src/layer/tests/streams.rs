//! Section "Streams": digests, damage, sparse files, and that nothing hangs.

use std::io::{self, Read};
use std::sync::mpsc;
use std::time::Duration;

use super::super::decompress::tests::zstd;
use super::*;
use crate::error::Kind;

/// Unpacks bytes on a thread, with a bound on the time.
fn bounded(blob: Vec<u8>, size: u64, digest: Digest, diff_id: Digest) -> Result<Unpacked> {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let expect = Expect {
            blob: &digest,
            size,
            diff_id: &diff_id,
        };
        done.send(both_ways(
            &blob,
            &expect,
            (&root, dir.path()),
            &Limits::default(),
        ))
        .unwrap();
    });
    wait.recv_timeout(Duration::from_secs(60))
        .expect("unpacking hangs")
}

/// With the digests that these bytes really have.
fn honest(blob: &[u8], diff_id: Digest) -> Result<Unpacked> {
    bounded(blob.to_vec(), blob.len() as u64, Digest::of(blob), diff_id)
}

fn sample() -> Vec<u8> {
    let noise: Vec<u8> = (0..200_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    archive(&[dir("d"), file("d/noise", noise), file("e", "end")])
}

#[test]
fn compressions() {
    let tar = sample();
    for blob in [
        tar.clone(),
        gzip(&tar),
        zstd(&tar),
        [gzip(&tar[..5000]), gzip(&tar[5000..]), vec![0; 700]].concat(),
    ] {
        let unpacked = honest(&blob, Digest::of(&tar)).unwrap();
        assert_eq!((unpacked.entries, unpacked.bytes), (3, 800_003));
    }
}

#[test]
fn what_follows_the_archive_is_hashed() {
    let tar = [sample(), vec![b'x'; 300_000]].concat();
    honest(&gzip(&tar), Digest::of(&tar)).unwrap();
    honest(&gzip(&tar), Digest::of(&sample())).unwrap_err();
}

#[test]
fn wrong_blobs_are_integrity_faults() {
    let tar = sample();
    let blob = gzip(&tar);
    let size = blob.len() as u64;
    let (digest, diff_id) = (Digest::of(&blob), Digest::of(&tar));
    let kind = |blob: &[u8], size: u64, digest: &Digest, diff_id: &Digest| {
        let error = bounded(blob.to_vec(), size, digest.clone(), diff_id.clone()).unwrap_err();
        (error::kind(&error), error::render(&error))
    };
    let half = &blob[..blob.len() / 2];
    let longer = [&blob[..], b"x"].concat();
    let mut cases = vec![
        half.to_vec(),
        longer,
        Vec::new(),
        vec![0x1f, 0x8b],
        b"not a layer".to_vec(),
    ];
    for at in [0, 3, 20, blob.len() / 2, blob.len() - 1] {
        let mut flipped = blob.clone();
        flipped[at] ^= 0x55;
        cases.push(flipped);
    }
    for case in cases {
        let (kind, text) = kind(&case, size, &digest, &diff_id);
        assert!(
            kind == Kind::Integrity && text.starts_with("the blob "),
            "{text}"
        );
    }
    let (kind, text) = kind(&blob, size, &digest, &Digest::of(b"other"));
    assert!(
        kind == Kind::Integrity && text.contains("diff ID"),
        "{text}"
    );
}

#[test]
fn damaged_layers_with_honest_digests_are_layer_faults() {
    let tar = sample();
    let gz = gzip(&tar);
    let mut wrong_sum = gz.clone();
    let at = wrong_sum.len() - 5;
    wrong_sum[at] ^= 1;
    let junk = b"this is not a tar archive".repeat(100);
    for (blob, tar) in [
        (gz[..gz.len() / 2].to_vec(), &tar[..]),
        (gz[..gz.len() - 4].to_vec(), &tar),
        (wrong_sum, &tar),
        (zstd(&tar)[..10_000].to_vec(), &tar),
        (gzip(&tar[..100_000]), &tar[..100_000]),
        (gzip(&tar[..700]), &tar[..700]),
        (junk.clone(), &junk),
        ([gz, b"junk".to_vec()].concat(), &tar),
    ] {
        let error = honest(&blob, Digest::of(tar)).unwrap_err();
        let text = error::render(&error);
        assert_eq!(error::kind(&error), Kind::Layer, "{text}");
    }
}

/// Cut and altered anywhere, the stream is an error or, where nothing was changed that counts,
/// the same; it never hangs and never panics.
#[test]
fn damage_anywhere_ends_in_an_error() {
    let noise: Vec<u8> = (0..3000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let tar = archive(&[
        dir("d").pax("SCHILY.xattr.user.x", "v"),
        file("d/noise", noise),
        symlink("s", "d"),
        hardlink("h", "d/noise"),
        file("x", "y").after(Member::new(b'L', "l").body("long\0")),
    ]);
    let diff_id = Digest::of(&tar);
    for step in 0..120 {
        let cut = tar.len() * step / 120;
        honest(&gzip(&tar[..cut]), diff_id.clone()).unwrap_err();
        let mut altered = tar.clone();
        altered[cut] ^= 1 << (step % 8);
        honest(&altered, diff_id.clone()).unwrap_err();
        // Believed, it may be another archive, but never a panic: the thread would not answer.
        let _either = honest(&altered, Digest::of(&altered));
    }
}

struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other(error::Fault::new(
                Kind::Network,
                "connection reset",
            )));
        }
        let length = into.len().min(self.0);
        into[..length].fill(0);
        self.0 -= length;
        Ok(length)
    }
}

#[test]
fn the_error_of_the_blob_is_passed_through() {
    for good in [0, 1, 100, 5_000_000] {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"x");
        let expect = Expect {
            blob: &digest,
            size: 10_000_000,
            diff_id: &digest,
        };
        let root = Root::open(dir.path()).unwrap();
        let buffers = Buffers::default();
        let limits = Limits::default();
        let error = unpack(Failing(good), &expect, &root, &limits, &buffers).unwrap_err();
        assert_eq!(
            (error::kind(&error), error::render(&error)),
            (Kind::Network, "connection reset".into())
        );
    }
}

#[test]
fn reading_stops_one_byte_after_the_size() {
    struct Endless(u64);
    impl Read for &mut Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 += into.len() as u64;
            into.fill(0);
            Ok(into.len())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"x");
    let expect = Expect {
        blob: &digest,
        size: 10,
        diff_id: &digest,
    };
    let mut endless = Endless(0);
    let root = Root::open(dir.path()).unwrap();
    let buffers = Buffers::default();
    let limits = Limits::default();
    let error = unpack(&mut endless, &expect, &root, &limits, &buffers).unwrap_err();
    assert_eq!(error::kind(&error), Kind::Integrity);
    assert_eq!(endless.0, 11);
}

#[test]
fn an_empty_stream_is_an_empty_layer() {
    for tar in [Vec::new(), vec![0; 512], vec![0; 1024], vec![0; 10240]] {
        assert_eq!(honest(&tar, Digest::of(&tar)).unwrap().entries, 0);
    }
}

fn gnu_sparse(regions: &[(u64, u64)], more: &[(u64, u64)], real: u64, stored: &[u8]) -> Member {
    let field = |number: u64| format!("{number:011o}\0").into_bytes();
    let pairs = |list: &[(u64, u64)]| -> Vec<u8> {
        list.iter()
            .flat_map(|(at, length)| [field(*at), field(*length)].concat())
            .collect()
    };
    let mut member = file("sparse", stored).raw(156, b"S").raw(257, b"ustar  \0");
    member = member.raw(386, &pairs(regions)).raw(483, &field(real));
    if more.is_empty() {
        return member;
    }
    let mut block = pairs(more);
    block.resize(512, 0);
    member.raw(482, &[1]).body_after(block)
}

#[test]
fn sparse_files_are_expanded_with_their_holes() {
    let size: u64 = 20 << 20;
    let mut expected = vec![0; usize::try_from(size).unwrap()];
    expected[4096..4099].copy_from_slice(b"abc");
    expected[8_388_608..8_388_610].copy_from_slice(b"de");
    let map = "2\n4096\n3\n8388608\n2\n";
    let mut in_content = map.as_bytes().to_vec();
    in_content.resize(512, 0);
    in_content.extend(b"abcde");
    let pax = |member: Member| {
        member
            .pax("GNU.sparse.name", "sparse")
            .pax("GNU.sparse.realsize", size.to_string())
    };
    for member in [
        gnu_sparse(&[(4096, 3), (8_388_608, 2), (size, 0)], &[], size, b"abcde"),
        gnu_sparse(&[(4096, 3)], &[(8_388_608, 2), (size, 0)], size, b"abcde"),
        pax(file("GNUSparseFile.0/sparse", "abcde")).pax("GNU.sparse.map", "4096,3,8388608,2"),
        pax(file("x", "abcde"))
            .pax("GNU.sparse.offset", "4096")
            .pax("GNU.sparse.numbytes", "3")
            .pax("GNU.sparse.offset", "8388608")
            .pax("GNU.sparse.numbytes", "2"),
        pax(file("GNUSparseFile.0/sparse", in_content))
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0"),
    ] {
        let mut bench = Bench::new();
        bench.apply(&[vec![member, file("next", "n")]]).unwrap();
        let tree = bench.merged(1);
        assert_eq!(names(&tree), ["next", "sparse"]);
        assert!(data(&tree, "sparse") == expected);
        for copy in ["layer0/sparse", "flat/sparse"] {
            let blocks = bench.path(copy).metadata().unwrap().blocks();
            assert!(blocks < 1000, "{copy}: {blocks}");
        }
    }
}

#[test]
fn impossible_sparse_maps_are_refused() {
    let max = u64::MAX >> 1;
    let mut wide = b"1000000\n".to_vec();
    wide.resize(512, 0);
    let mut endless = vec![b'1'; 1024];
    endless.push(b'\n');
    let pax = |body: &[u8]| {
        file("x", body)
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.realsize", "100")
    };
    for member in [
        gnu_sparse(&[(0, 3), (2, 2)], &[], 10, b"abcde"),
        gnu_sparse(&[(8, 3), (2, 2)], &[], 20, b"abcde"),
        gnu_sparse(&[(8, 5)], &[], 10, b"abcde"),
        gnu_sparse(&[(0, 4)], &[], 10, b"abcde"),
        gnu_sparse(&[(0o77_777_777_777, 5)], &[], 10, b"abcde"),
        file("x", "abc").pax("GNU.sparse.map", "0,3"),
        file("x", "abc")
            .pax("GNU.sparse.realsize", "9")
            .pax("GNU.sparse.map", "0"),
        file("x", "").pax("GNU.sparse.realsize", (max + 1).to_string()),
        file("x", "").pax("GNU.sparse.realsize", max.to_string()),
        pax(&wide),
        pax(&endless),
        pax(b"1\n"),
    ] {
        let error = refused(&[vec![member]]);
        assert!(
            matches!(error::kind(&error), Kind::Layer | Kind::Limit),
            "{}",
            error::render(&error)
        );
    }
}
