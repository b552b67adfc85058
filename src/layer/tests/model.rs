//! Random layers against a small model of the specification: layers applied one on top of the
//! other to a plain tree. The mount, the flat tree and the model must agree.

use super::*;

/// A directory (mode, mtime) or a file (content).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Dir(u32, i64),
    File(String),
}

type Model = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
enum Op {
    File(String, String),
    Dir(String, u32, i64),
    Link(String, String),
    Whiteout(String),
    Opaque(String),
}

/// Repeatable: the seed is in the message of a failure.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        let parts: Vec<&str> = (0..depth).map(|_| ["a", "b", "c"][self.below(3)]).collect();
        parts.join("/")
    }

    fn layer(&mut self, index: usize) -> Vec<Op> {
        (0..1 + self.below(8))
            .map(|step| {
                let path = self.path();
                match self.below(9) {
                    0..=2 => Op::File(path, format!("{index}.{step}")),
                    3..=5 => Op::Dir(
                        path,
                        0o700 + u32::try_from(self.below(64)).unwrap(),
                        step as i64 + 1,
                    ),
                    6..=7 => Op::Whiteout(path),
                    _ => Op::Opaque(path),
                }
            })
            .collect()
    }
}

fn remove(model: &mut Model, path: &str, itself: bool) {
    let inside = format!("{path}/");
    model.retain(|name, _| !(name.starts_with(&inside) || itself && name == path));
}

fn make_parents(model: &mut Model, path: &str) {
    for (at, _) in path.match_indices('/') {
        let parent = &path[..at];
        if !matches!(model.get(parent), Some(Node::Dir(..))) {
            model.insert(parent.into(), Node::Dir(0o755, 0));
        }
    }
}

fn apply(model: &mut Model, ops: &[Op]) {
    for op in ops {
        match op {
            Op::Whiteout(path) => remove(model, path, true),
            Op::Opaque(path) => remove(model, path, false),
            _ => {}
        }
    }
    for op in ops {
        match op {
            Op::File(path, content) => {
                make_parents(model, path);
                remove(model, path, true);
                model.insert(path.clone(), Node::File(content.clone()));
            }
            Op::Dir(path, mode, mtime) => {
                make_parents(model, path);
                model.insert(path.clone(), Node::Dir(*mode, *mtime));
            }
            Op::Link(path, target) => {
                let node = model[target].clone();
                make_parents(model, path);
                remove(model, path, true);
                model.insert(path.clone(), node);
            }
            Op::Whiteout(_) | Op::Opaque(_) => {}
        }
    }
}

fn member(op: &Op) -> Member {
    match op {
        Op::File(path, content) => file(path, content),
        Op::Dir(path, mode, mtime) => dir(path).mode((*mode).into()).mtime(mtime.cast_unsigned()),
        Op::Link(path, target) => hardlink(path, target),
        Op::Opaque(path) => file(format!("{path}/.wh..wh..opq"), ""),
        Op::Whiteout(path) => match path.rsplit_once('/') {
            Some((parent, name)) => file(format!("{parent}/.wh.{name}"), ""),
            None => file(format!(".wh.{path}"), ""),
        },
    }
}

fn modelled(tree: &Tree) -> Model {
    let node = |seen: &Seen| match seen.mode & libc::S_IFMT {
        libc::S_IFDIR => Node::Dir(seen.mode & 0o7777, seen.mtime.0),
        _ => Node::File(String::from_utf8(seen.data.clone()).unwrap()),
    };
    let named = tree.iter().filter(|(path, _)| !path.as_os_str().is_empty());
    named
        .map(|(path, seen)| (path.to_str().unwrap().into(), node(seen)))
        .collect()
}

#[test]
fn random_layers_are_applied_as_the_specification_says() {
    let rounds: u64 = std::env::var("UCR_MODEL_ROUNDS").map_or(250, |text| text.parse().unwrap());
    for seed in 1..=rounds {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut model, mut layers) = (Model::new(), Vec::new());
        for index in 0..2 + random.below(3) {
            let mut ops = random.layer(index);
            apply(&mut model, &ops);
            // Last in its layer, so that nothing of the layer comes after it in the target's place.
            let files: Vec<&String> = model
                .iter()
                .filter(|(_, n)| matches!(n, Node::File(_)))
                .map(|(p, _)| p)
                .collect();
            let link = random.path();
            if !files.is_empty() && random.below(2) == 0 {
                let target = files[random.below(files.len())].clone();
                let related = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
                if !related(&link, &target) && !related(&target, &link) {
                    let op = Op::Link(link, target);
                    apply(&mut model, std::slice::from_ref(&op));
                    ops.push(op);
                }
            }
            layers.push(ops);
        }
        let members: Vec<Vec<Member>> = layers
            .iter()
            .map(|ops| ops.iter().map(member).collect())
            .collect();
        let mut bench = Bench::new();
        let result = bench.apply(&members);
        result.unwrap_or_else(|error| panic!("seed {seed}: {}: {layers:?}", error::render(&error)));
        assert_eq!(
            modelled(&bench.merged(layers.len())),
            model,
            "seed {seed}: {layers:?}"
        );
    }
}
