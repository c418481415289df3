//! Train, predict, evaluate: what is written, and that predictions return to
//! the grid of their input.

mod harness;

use harness::Place;

#[test]
fn train_predict_evaluate() {
    let place = Place::new();
    let t = std::time::Instant::now();
    println!("{}", place.ok("train run.toml --out run"));
    println!("{:?}", t.elapsed());
    println!("{}", place.ok("predict run --dataset cohort/dataset.toml --split test --out pred"));
    println!("{:?}", t.elapsed());
    println!("{}", place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval"));
    println!("{:?}", t.elapsed());
}
