//! One row of the table.

use nix::sys::signal::Signal;

/// What is done while the container runs.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// It ends by itself.
    Wait,
    /// Once it has printed "ready", ucr gets this signal.
    Signal(Signal),
    /// Once it has printed "ready", a `ucr` with these words and its name.
    Command(&'static [&'static str]),
    /// What it says to somebody who connects to its port at this address of the host's.
    Connect(&'static str),
}

/// What ucr has as its standard input.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// A file with this.
    File(&'static str),
    /// A pipe with this.
    Pipe(&'static str),
    /// None.
    Closed,
}

/// One container, to be run by both runtimes. In options and words `{dir}` is a directory of the
/// host's, made anew for each, `{name}` a name for the container, and `{port}` a free port.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    /// Variant of the image.
    pub image: &'static str,
    pub options: Vec<&'static str>,
    pub words: Vec<&'static str>,
    pub act: Act,
    pub input: Input,
    /// The exit code of ucr's.
    pub code: i32,
    /// Lines that stdout must have, so that the row shows something.
    pub shows: Vec<&'static str>,
    /// What the message must have, where there is to be one.
    pub says: Vec<&'static str>,
    /// Is a second container run, with the same options, which sees what the first has left?
    pub twice: bool,
    /// Does it take all capabilities that there are?
    pub capabilities: bool,
}

/// A row of the base image, which ends well by itself.
pub fn row(name: &'static str, options: &[&'static str], words: &[&'static str]) -> Row {
    Row {
        name,
        image: "base",
        options: options.to_vec(),
        words: words.to_vec(),
        act: Act::Wait,
        input: Input::File(""),
        code: 0,
        shows: Vec::new(),
        says: Vec::new(),
        twice: false,
        capabilities: false,
    }
}

impl Row {
    pub fn of(mut self, image: &'static str) -> Self {
        self.image = image;
        self
    }

    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    pub fn shows(mut self, lines: &[&'static str]) -> Self {
        self.shows = lines.to_vec();
        self
    }

    pub fn says(mut self, words: &[&'static str]) -> Self {
        self.says = words.to_vec();
        self
    }

    pub fn act(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    pub fn twice(mut self) -> Self {
        self.twice = true;
        self
    }

    pub fn capabilities(mut self) -> Self {
        self.capabilities = true;
        self
    }
}
