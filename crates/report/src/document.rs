//! The parts of a page: one HTML file with everything in it.

use std::fmt::Write;

use crate::colour::css;
use crate::markup::{base64, escape};

const STYLE: &str = include_str!("style.css");

/// The page up to its heading, `subtitle` a paragraph below it unless empty.
/// `style` comes after the style of all pages.
pub(crate) fn start(title: &str, subtitle: &str, style: &str) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>\n{STYLE}{style}</style></head><body><main>\n\
         <header><h1>{title}</h1>"
    );
    if !subtitle.is_empty() {
        let _ = write!(page, "<p>{}</p>", escape(subtitle));
    }
    page.push_str("</header>\n");
    page
}

/// What [`start`] leaves open.
pub(crate) const END: &str = "</main></body></html>\n";

/// Facts in a grid.
pub(crate) fn fact_list(page: &mut String, facts: &[Fact]) {
    page.push_str("<dl class=\"facts\">");
    for fact in facts {
        let (name, value) = (escape(&fact.name), escape(&fact.value));
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>");
}

/// What the colours of overlay pictures mean.
pub(crate) fn picture_key(page: &mut String) {
    let _ = write!(
        page,
        "<p class=\"legend\">\
         <span class=\"key\" style=\"border:3px solid {}\"></span> reference, outlined \
         <span class=\"key\" style=\"background:{}\"></span> prediction, filled</p>",
        css(crate::colour::REFERENCE),
        css(crate::colour::PREDICTION)
    );
}

/// A picture between its heading and its caption.
pub(crate) fn figure(page: &mut String, picture: &Picture) {
    let title = escape(&picture.title);
    let [width, height] = picture.size;
    let _ = write!(
        page,
        "<figure><h3>{title}</h3><img width=\"{width}\" height=\"{height}\" \
         alt=\"Overlay of {title}\" src=\"data:image/png;base64,{}\">\
         <figcaption>{}</figcaption></figure>",
        base64(&picture.png),
        escape(&picture.caption)
    );
}

/// A line of the facts at the head of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// As "Network".
    pub name: String,
    /// As "unet".
    pub value: String,
}

impl Fact {
    /// A fact from anything that can be printed.
    pub fn new(name: &str, value: impl std::fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_string(),
        }
    }
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Heading, as the subject's id.
    pub title: String,
    /// What it shows.
    pub caption: String,
    /// PNG.
    pub png: Vec<u8>,
    /// Pixels across and down.
    pub size: [usize; 2],
}
