//! The largest number of pairs of lesions, by augmenting paths (Berge 1957).

use std::collections::VecDeque;

/// Most pairs that can be made of `edges` between `left` and `right` things, counted
/// from 0, with no thing in two pairs.
pub fn most_pairs(left: usize, right: usize, edges: impl Iterator<Item = [usize; 2]>) -> usize {
    let mut partners: Vec<Vec<usize>> = vec![Vec::new(); left];
    for [l, r] in edges {
        partners[l].push(r);
    }
    let mut of_right: Vec<Option<usize>> = vec![None; right];
    let mut of_left: Vec<Option<usize>> = vec![None; left];
    // Who reached a right thing in the present search, and in which search.
    let mut reached: Vec<(usize, usize)> = vec![(usize::MAX, 0); right];
    let mut pairs = 0;
    for start in 0..left {
        let mut queue = VecDeque::from([start]);
        let mut free = None;
        'search: while let Some(l) = queue.pop_front() {
            for &r in &partners[l] {
                if reached[r].0 == start {
                    continue;
                }
                reached[r] = (start, l);
                match of_right[r] {
                    Some(other) => queue.push_back(other),
                    None => {
                        free = Some(r);
                        break 'search;
                    }
                }
            }
        }
        pairs += usize::from(free.is_some());
        // Back along the path, each takes what the one after it had.
        while let Some(r) = free {
            let l = reached[r].1;
            of_right[r] = Some(l);
            free = of_left[l].replace(r);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_all_is_found() {
        // 0-{0,1}, 1-{0}, 2-{1,2}: greedy in order would pair 0-0 and leave 1 alone.
        let edges = [[0, 0], [0, 1], [1, 0], [2, 1], [2, 2]];
        assert_eq!(most_pairs(3, 3, edges.into_iter()), 3);
    }

    #[test]
    fn a_star_makes_one_pair_and_nothing_none() {
        assert_eq!(most_pairs(5, 1, (0..5).map(|l| [l, 0])), 1);
        assert_eq!(most_pairs(1, 5, (0..5).map(|r| [0, r])), 1);
        assert_eq!(most_pairs(2, 3, std::iter::empty()), 0);
    }

    /// Against trying every choice, on small graphs.
    #[test]
    fn as_many_as_by_trying_all() {
        fn best(from: usize, edges: &[[usize; 2]], used: u32) -> usize {
            let Some(rest) = (from < 5).then_some(from + 1) else {
                return 0;
            };
            let with = edges
                .iter()
                .filter(|e| e[0] == from && used >> e[1] & 1 == 0);
            with.map(|e| 1 + best(rest, edges, used | 1 << e[1]))
                .chain([best(rest, edges, used)])
                .max()
                .unwrap_or(0)
        }
        for graph in 0u32..2000 {
            let bits = graph.wrapping_mul(2_654_435_761);
            let edges: Vec<[usize; 2]> = (0..25)
                .filter(|i| bits >> i & 1 == 1)
                .map(|i| [i / 5, i % 5])
                .collect();
            let found = most_pairs(5, 5, edges.iter().copied());
            assert_eq!(found, best(0, &edges, 0), "{edges:?}");
        }
    }
}
