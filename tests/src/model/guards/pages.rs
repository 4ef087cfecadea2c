//! The pool of pages, as the kernel has it, with an eye on whose each page is.

use token_agent_common::stream::{Buffer, PAGES, Page};

/// Pages, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
    is_taken: Vec<bool>,
    /// How many there can be.
    pub(super) most: usize,
}

impl Pages {
    /// A page that is nobody's, or 0.
    pub(super) fn take(&mut self) -> u32 {
        let free = self.is_taken.iter().take(self.most);
        let number = free.take_while(|taken| **taken).count();
        if number >= self.most {
            return 0;
        }
        if number == self.pages.len() {
            self.pages.push(Page::new());
            self.is_taken.push(false);
        }
        self.is_taken[number] = true;
        number as u32 + 1
    }

    /// Takes back what a buffer has.
    pub(super) fn take_back(&mut self, buffer: &mut Buffer) {
        for place in 0..PAGES {
            let page = buffer.take_page(place) as usize;
            if page > 0 {
                assert!(self.is_taken[page - 1], "page {page} was given back before");
                self.is_taken[page - 1] = false;
            }
        }
        assert!(!self.is_taken.contains(&true), "a page is lost");
    }

    /// A page that somebody has.
    pub(super) fn of(&self, page: u32) -> &Page {
        assert!(self.is_taken[page as usize - 1], "page {page} is nobody's");
        &self.pages[page as usize - 1]
    }

    /// The same, to be written on.
    pub(super) fn of_mut(&mut self, page: u32) -> &mut Page {
        assert!(self.is_taken[page as usize - 1], "page {page} is nobody's");
        &mut self.pages[page as usize - 1]
    }
}
