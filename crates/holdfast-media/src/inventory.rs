//! Which images the vault holds, for a primary server whose catalog was lost, or restored from an older copy: a sum to compare
//! with, and the list. What the catalog makes of it is the primary server's.

use holdfast_proto::services as wire;

use crate::error::Result;
use crate::service::MediaService;
use crate::words;

/// Images of a page.
const PAGE: usize = 64;

impl MediaService {
    /// What the catalog's own list is compared with. Reads the disk.
    pub fn holding(&self) -> Result<wire::Holding> {
        let images = self.vault().image_ids()?;
        let mut sum = [0; 16];
        for image in &images {
            sum.iter_mut().zip(image.0).for_each(|(sum, byte)| *sum ^= byte);
        }
        let incarnation = self.0.attempts.highest_incarnation()?;
        Ok(wire::Holding { images: images.len() as u64, sum: sum.to_vec(), incarnation })
    }

    /// All images, page by page, until `take` says that nobody takes more. Reads the disk.
    pub fn inventory(&self, take: &mut dyn FnMut(wire::Held) -> bool) -> Result<()> {
        let mut page = wire::Held { first: true, ..wire::Held::default() };
        let mut is_wanted = true;
        self.vault().each_brief(&mut |id, brief| {
            if page.images.len() == PAGE {
                is_wanted = take(std::mem::take(&mut page));
            }
            // What cannot be read is there all the same.
            let only_id = || wire::Image { image: id.0.to_vec(), ..wire::Image::default() };
            page.images.push(brief.map_or_else(only_id, |brief| words::to_image(&brief)));
            is_wanted
        })?;
        if is_wanted {
            take(wire::Held { last: true, ..page });
        }
        Ok(())
    }
}
