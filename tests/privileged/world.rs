//! A store with one image in it, which nearly every test here begins with.

use crate::support::image::Image;
use crate::support::layout::Layout;
use crate::support::process::Finished;
use crate::support::samples;
use crate::support::scratch::mounts_below;
use crate::support::ucr::{Invocation, Ucr};

/// A private ucr whose store has one image, pulled from a layout.
#[derive(Debug)]
pub struct World {
    pub ucr: Ucr,
    pub image: String,
    _layout: Layout,
}

impl World {
    /// Pulls the sample of a layout.
    pub fn with(layout: Layout) -> Self {
        Self::for_ucr(Ucr::new(), layout)
    }

    /// The same in a store that is there.
    pub fn for_ucr(ucr: Ucr, layout: Layout) -> Self {
        let image = layout.reference(samples::TAG);
        ucr.pull(&image);
        Self {
            ucr,
            image,
            _layout: layout,
        }
    }

    /// With this image.
    pub fn of(image: &Image) -> Self {
        Self::with(Layout::of(samples::TAG, image))
    }

    /// With the real busybox, or its stand-in.
    pub fn busybox() -> Self {
        Self::with(samples::busybox())
    }

    /// With busybox-static, applets, and accounts.
    pub fn small() -> Self {
        Self::of(&samples::small())
    }

    /// `ucr run FLAGS IMAGE WORDS`, not started yet.
    pub fn command(&self, flags: &[&str], words: &[&str]) -> Invocation {
        let line = [&["run"], flags, &[&self.image], words].concat();
        self.ucr.cmd(line)
    }

    /// The same, run to its end.
    #[track_caller]
    pub fn run(&self, flags: &[&str], words: &[&str]) -> Finished {
        self.command(flags, words).run()
    }

    /// The stdout of a script in the container, which must end well.
    #[track_caller]
    pub fn script(&self, flags: &[&str], script: &str) -> String {
        let done = self.run(flags, &["sh", "-c", script]).ok();
        done.stdout.trim_end().to_owned()
    }

    /// Nothing of any container is left: no mount, no entry in the store, no state.
    #[track_caller]
    pub fn assert_clean(&self) {
        let mounts = mounts_below(self.ucr.scratch().path());
        assert!(mounts.is_empty(), "still mounted: {mounts:#?}");
        let kept = self.ucr.entries(&["containers", "rootfs", "tmp", "trash"]);
        assert!(kept.is_empty(), "left in the store: {kept:#?}");
        let state = crate::support::ucr::children(&self.ucr.state());
        let kept: Vec<_> = state
            .iter()
            .flat_map(|dir| crate::support::ucr::children(dir))
            .collect();
        assert!(kept.is_empty(), "left in the state: {kept:#?}");
    }
}
