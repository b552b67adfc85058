//! Random layers: what the mounted overlay shows, what the copy is, and what a model of the
//! specification says must be one tree.
//!
//! `UCR_PROPERTY_SEED` begins elsewhere, `UCR_PROPERTY_CASES` says how many cases there are. A case
//! that fails is made smaller as long as it fails, and printed with its seed.

mod model;

use std::fmt::Write;

use self::model::{Attributes, Model, Names, Op};
use crate::support::image::Image;
use crate::support::layer::Packing;
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;
use crate::support::tree::Tree;
use crate::support::ucr::Ucr;

/// Layers of one image, lowest first.
type Layers = Vec<Vec<Op>>;

/// Repeatable numbers (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Seeds that are alike begin alike.
        (0..8).for_each(|_| random.0 ^= random.below(2) as u64);
        random
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Few names, so that paths meet.
    fn path(&mut self) -> Names {
        let depth = 1 + self.below(3);
        let name = |random: &mut Self| random.of(&["a", "b", "c"]).to_string();
        (0..depth).map(|_| name(self)).collect()
    }

    fn target(&mut self) -> String {
        let path = self.path().join("/");
        let start = self.of(&["", "/", "../", "./", "../../"]);
        format!("{start}{path}")
    }

    fn attributes(&mut self) -> Attributes {
        Attributes {
            mode: *self.of(&[0o644, 0o755, 0o700, 0o4755, 0o1777, 0]),
            owner: *self.of(&[0, 0, 7, 3_000_000]),
            group: *self.of(&[0, 0, 8]),
            mtime: (
                i64::try_from(self.below(1000)).unwrap(),
                *self.of(&[0, 0, 1, 999_999_999]),
            ),
            note: *self.of(&[None, None, Some(b'1'), Some(b'2')]),
        }
    }

    fn whiteouts(&mut self) -> Vec<Op> {
        let count = *self.of(&[0, 0, 1, 2, 3]);
        let whiteout = |random: &mut Self| match random.below(4) {
            0 if random.below(6) == 0 => Op::Opaque(Names::new()),
            0 => Op::Opaque(random.path()),
            _ => Op::Whiteout(random.path()),
        };
        (0..count).map(|_| whiteout(self)).collect()
    }

    fn entry(&mut self, model: &Model, text: String) -> Op {
        let path = self.path();
        match self.below(10) {
            0..=3 => Op::File(path, text, self.attributes()),
            4..=5 => Op::Directory(path, self.attributes()),
            6..=7 => {
                // Extended attributes of links are the business of other tests.
                let attributes = Attributes {
                    note: None,
                    ..self.attributes()
                };
                Op::Symlink(path, self.target(), attributes)
            }
            _ => {
                let names = model.names();
                let target = match names.is_empty() {
                    true => self.path(),
                    false => (*self.of(&names)).clone(),
                };
                Op::HardLink(path, target, self.attributes())
            }
        }
    }

    /// A layer that ucr takes: entries that the model refuses are left out.
    fn layer(&mut self, model: &mut Model, number: usize) -> Vec<Op> {
        let whiteouts = self.whiteouts();
        model.begin(&whiteouts);
        let mut ops = Vec::new();
        for step in 0..1 + self.below(8) {
            let op = self.entry(model, format!("{number}.{step}"));
            let mut next = model.clone();
            if next.apply(&op).is_ok() && !leads_through_link(&whiteouts, &next) {
                *model = next;
                ops.push(op);
            }
        }
        // Whiteouts stand anywhere, entries in their order.
        for whiteout in whiteouts {
            ops.insert(self.below(ops.len() + 1), whiteout);
        }
        ops
    }

    fn image(&mut self) -> Layers {
        let mut model = Model::default();
        let count = 2 + self.below(3);
        (0..count)
            .map(|number| self.layer(&mut model, number))
            .collect()
    }
}

/// The specification does not say whether a link of the layer leads a whiteout elsewhere.
fn leads_through_link(ops: &[Op], model: &Model) -> bool {
    ops.iter().any(|op| {
        let directory = match op {
            Op::Whiteout(path) => &path[..path.len() - 1],
            Op::Opaque(path) => path,
            _ => return false,
        };
        (1..=directory.len()).any(|length| model.is_own_link(&directory[..length]))
    })
}

fn modelled(layers: &Layers) -> Option<Tree> {
    let mut model = Model::default();
    for ops in layers {
        model.begin(ops);
        for op in ops {
            model.apply(op).ok()?;
        }
        if leads_through_link(ops, &model) {
            return None;
        }
    }
    Some(model.tree())
}

fn describe(tar: RawTar, attributes: &Attributes) -> RawTar {
    let (seconds, nanoseconds) = attributes.mtime;
    let tar = tar
        .mode(attributes.mode.into())
        .pax("uid", attributes.owner.to_string())
        .pax("gid", attributes.group.to_string())
        .pax("mtime", format!("{seconds}.{nanoseconds:09}"));
    match attributes.note {
        Some(note) => tar.pax("SCHILY.xattr.user.note", [note]),
        None => tar,
    }
}

fn archive(ops: &[Op]) -> RawTar {
    ops.iter().fold(RawTar::new(), |tar, op| match op {
        Op::File(path, content, attributes) => {
            describe(tar.file(&path.join("/"), content), attributes)
        }
        Op::Directory(path, attributes) => describe(tar.dir(&path.join("/")), attributes),
        Op::Symlink(path, target, attributes) => {
            describe(tar.symlink(&path.join("/"), target), attributes)
        }
        Op::HardLink(path, target, attributes) => {
            describe(tar.hardlink(&path.join("/"), &target.join("/")), attributes)
        }
        Op::Opaque(path) => {
            let marker = [&path[..], &[".wh..wh..opq".into()]].concat();
            tar.file(&marker.join("/"), "")
        }
        Op::Whiteout(path) => {
            let mut path = path.clone();
            let name = path.pop().expect("a name");
            path.push(format!(".wh.{name}"));
            tar.file(&path.join("/"), "")
        }
    })
}

/// Unpacks an image with both backends; says what is wrong with it.
fn check(ucr: &Ucr, layers: &Layers) -> Result<(), String> {
    let Some(expected) = modelled(layers) else {
        return Ok(());
    };
    let pack = |ops: &Vec<Op>| archive(ops).layer().packed(Packing::Plain);
    let image = layers.iter().map(pack).fold(Image::new(), Image::layer);
    let layout = Layout::of(TAG, &image);
    let place = ucr.scratch().join("place");
    let path = place.to_str().expect("a path of ours is text");
    for backend in ["overlay", "copy"] {
        let reference = layout.reference(TAG);
        let line = [
            "provision",
            "--no-sync",
            "--backend",
            backend,
            &reference,
            path,
        ];
        let done = ucr.run(line);
        if done.code != 0 {
            return Err(format!("{backend}: {}", done.stderr));
        }
        let mut found = Tree::read(&place);
        ucr.run(["rm", path]).ok();
        found.0.remove(std::path::Path::new(""));
        let difference = found.difference(&expected);
        if !difference.is_empty() {
            return Err(format!("{backend} (-) and the model (+):\n{difference}"));
        }
    }
    Ok(())
}

/// Leaves out whatever the failure does not need.
fn shrink(ucr: &Ucr, mut layers: Layers) -> Layers {
    let mut at = 0;
    let count = |layers: &Layers| layers.iter().map(Vec::len).sum::<usize>();
    while at < count(&layers) {
        let mut fewer = layers.clone();
        let mut left = at;
        for ops in &mut fewer {
            if left < ops.len() {
                ops.remove(left);
                break;
            }
            left -= ops.len();
        }
        match check(ucr, &fewer) {
            Err(_) => layers = fewer,
            Ok(()) => at += 1,
        }
    }
    layers
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name);
    value.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

#[test]
fn random_layers() {
    let ucr = Ucr::new();
    let first = number("UCR_PROPERTY_SEED", 1);
    let count = number("UCR_PROPERTY_CASES", 100);
    eprintln!("{count} cases, UCR_PROPERTY_SEED={first}");
    for seed in first..first + count {
        let layers = Random::new(seed).image();
        if let Err(why) = check(&ucr, &layers) {
            let small = shrink(&ucr, layers);
            let why = check(&ucr, &small).err().unwrap_or(why);
            let lines = small
                .iter()
                .enumerate()
                .fold(String::new(), |mut text, (number, ops)| {
                    writeln!(text, "layer {number}").expect("a String takes all");
                    ops.iter()
                        .for_each(|op| writeln!(text, "  {op:?}").expect("a String takes all"));
                    text
                });
            panic!("UCR_PROPERTY_SEED={seed}:\n{lines}{why}");
        }
    }
}
