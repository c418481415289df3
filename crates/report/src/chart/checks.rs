//! What the tests of all charts look for.

/// The opened elements, all of which must be closed in order.
pub fn elements(svg: &str) -> Vec<String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag that ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!text.contains('>'), "{text}");
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None => {
                seen.push(name.trim_end_matches('/').to_owned());
                if !tag.ends_with('/') {
                    open.push(name.to_owned());
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

/// A well-formed picture whose coordinates are all numbers. Gives its elements.
pub fn sound(svg: &str) -> Vec<String> {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    elements(svg)
}
