//! The sums over elements that overlap losses and cross-entropies are functions of.
//!
//! Notation, used in all loss files: `w_n` is the weight of element n, 1 unless
//! a voxel weight map says otherwise and 0 where the element is masked or
//! ignored; `r_ln` is the reference, 1 where element n has label l, else 0, or
//! between with soft labels; `p_cn` is the probability of class c there; `V_l`
//! is the volume of label l in the reference, `P_c` the predicted volume of
//! class c, `N` all elements. Every sum and every volume is weighted by `w_n`.
//! Sums run over the elements of one sample or of the whole batch.

/// Sums over the elements of a sample or a batch.
///
/// Exclusive classes (softmax) have sums by label and class. Overlapping regions
/// (sigmoid) have sums by class only. [`Statistics::class`] is the view that
/// both have: one class against the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub(crate) classes: usize,
    pub(crate) elements: f64,
    pub(crate) volume: Vec<f64>,
    pub(crate) reference_square: Vec<f64>,
    pub(crate) sums: ClassTable,
}

/// Sums by label and class, or by class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClassTable {
    Exclusive(Matrices),
    Overlapping(Vec<ClassSums>),
}

/// Values per label and class, `[label * classes + class]`, and per label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrices {
    pub(crate) sum_p: Vec<f64>,
    pub(crate) squared_error: Vec<f64>,
    pub(crate) sum_log_p: Vec<f64>,
}

impl Matrices {
    fn zeros(classes: usize) -> Self {
        Self {
            sum_p: vec![0.0; classes * classes],
            squared_error: vec![0.0; classes * classes],
            sum_log_p: vec![0.0; classes],
        }
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        let parts = [
            &mut self.sum_p,
            &mut self.squared_error,
            &mut self.sum_log_p,
        ];
        parts.into_iter().flatten()
    }

    fn all(&self) -> impl Iterator<Item = &f64> {
        let parts = [&self.sum_p, &self.squared_error, &self.sum_log_p];
        parts.into_iter().flatten()
    }
}

/// Sums of one class against the rest, or derivatives of a loss by them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassSums {
    /// `sum_n w r p`: the soft true positives.
    pub hit: f64,
    /// `sum_n w r (1 - p)`: the soft false negatives. Summed as such, so it is
    /// exact near 0. As `hit + miss` is the volume, losses take derivatives by
    /// `hit` and treat `miss` as `V - hit`; a derivative by `miss` is ignored.
    pub miss: f64,
    /// `sum_n w (1 - r) p`: the soft false positives.
    pub false_alarm: f64,
    /// `sum_n w r (1 - p)^2`.
    pub squared_miss: f64,
    /// `sum_n w (1 - r) p^2`.
    pub squared_false_alarm: f64,
    /// `sum_n w r log p`, at most 0.
    pub log_hit: f64,
    /// `sum_n w (1 - r) log (1 - p)`, at most 0; overlapping regions only, 0 for
    /// exclusive classes, whose cross-entropy does not read it.
    pub log_rejection: f64,
}

impl ClassSums {
    /// The predicted volume of the class, `P`.
    pub fn predicted(&self) -> f64 {
        self.hit + self.false_alarm
    }

    /// The derivatives of a function of [`ClassSums::predicted`].
    pub(crate) fn of_predicted(slope: f64) -> Self {
        Self {
            hit: slope,
            false_alarm: slope,
            ..Self::default()
        }
    }

    /// All multiplied by a factor.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        let mut scaled = Self::default();
        scaled.add(self, factor);
        scaled
    }

    /// In the order of the fields.
    pub(crate) fn all_mut(&mut self) -> [&mut f64; 7] {
        [
            &mut self.hit,
            &mut self.miss,
            &mut self.false_alarm,
            &mut self.squared_miss,
            &mut self.squared_false_alarm,
            &mut self.log_hit,
            &mut self.log_rejection,
        ]
    }

    fn add(&mut self, other: &Self, factor: f64) {
        self.hit += factor * other.hit;
        self.miss += factor * other.miss;
        self.false_alarm += factor * other.false_alarm;
        self.squared_miss += factor * other.squared_miss;
        self.squared_false_alarm += factor * other.squared_false_alarm;
        self.log_hit += factor * other.log_hit;
        self.log_rejection += factor * other.log_rejection;
    }
}

impl Statistics {
    /// No element yet of exclusive classes.
    pub(crate) fn exclusive(classes: usize) -> Self {
        Self {
            classes,
            elements: 0.0,
            volume: vec![0.0; classes],
            reference_square: vec![0.0; classes],
            sums: ClassTable::Exclusive(Matrices::zeros(classes)),
        }
    }

    /// No element yet of overlapping regions.
    pub(crate) fn overlapping(classes: usize) -> Self {
        Self {
            sums: ClassTable::Overlapping(vec![ClassSums::default(); classes]),
            ..Self::exclusive(classes)
        }
    }

    /// Exclusive classes with hard labels, of counts per label and sums per label and class.
    pub(crate) fn of_volumes(volume: Vec<f64>, matrices: Matrices) -> Self {
        Self {
            classes: volume.len(),
            elements: volume.iter().sum(),
            reference_square: volume.clone(),
            volume,
            sums: ClassTable::Exclusive(matrices),
        }
    }

    /// Adds the sums of further elements.
    pub(crate) fn add(&mut self, other: &Self) {
        self.elements += other.elements;
        let volumes = self.volume.iter_mut().zip(&other.volume);
        let squares = self
            .reference_square
            .iter_mut()
            .zip(&other.reference_square);
        for (total, part) in volumes.chain(squares) {
            *total += part;
        }
        match (&mut self.sums, &other.sums) {
            (ClassTable::Exclusive(total), ClassTable::Exclusive(part)) => {
                for (total, part) in total.all_mut().zip(part.all()) {
                    *total += part;
                }
            }
            (ClassTable::Overlapping(total), ClassTable::Overlapping(part)) => {
                for (total, part) in total.iter_mut().zip(part) {
                    total.add(part, 1.0);
                }
            }
            _ => unreachable!("sums of one batch have one activation"),
        }
    }

    /// Number of classes, background included; of regions where they overlap.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whether the classes are overlapping regions, none of them the background.
    pub fn is_overlapping(&self) -> bool {
        matches!(self.sums, ClassTable::Overlapping(_))
    }

    /// All elements, `N`.
    pub fn elements(&self) -> f64 {
        self.elements
    }

    /// Elements with label `l`, `V_l`.
    pub fn volume(&self, l: usize) -> f64 {
        self.volume[l]
    }

    /// `sum_n w r_cn^2`: the volume, unless labels are soft.
    pub fn reference_square(&self, c: usize) -> f64 {
        self.reference_square[c]
    }

    /// Class `c` against the rest.
    pub fn class(&self, c: usize) -> ClassSums {
        let matrices = match &self.sums {
            ClassTable::Overlapping(sums) => return sums[c],
            ClassTable::Exclusive(matrices) => matrices,
        };
        let mut sums = ClassSums {
            hit: matrices.sum_p[c * self.classes + c],
            squared_miss: matrices.squared_error[c * self.classes + c],
            log_hit: matrices.sum_log_p[c],
            ..ClassSums::default()
        };
        for other in (0..self.classes).filter(|&other| other != c) {
            sums.miss += matrices.sum_p[c * self.classes + other];
            sums.false_alarm += matrices.sum_p[other * self.classes + c];
            sums.squared_false_alarm += matrices.squared_error[other * self.classes + c];
        }
        sums
    }

    /// `sum_n w r_ln p_cn`: probability of class `c` over the elements with label `l`.
    ///
    /// # Panics
    /// Where regions overlap; a loss that reads this refuses them in its `check`.
    pub fn sum_p(&self, l: usize, c: usize) -> f64 {
        match &self.sums {
            ClassTable::Exclusive(matrices) => matrices.sum_p[l * self.classes + c],
            ClassTable::Overlapping(_) => panic!("sums by label need exclusive classes"),
        }
    }

    /// Predicted volume of class `c`, `P_c = sum_n w p_cn`.
    pub fn predicted(&self, c: usize) -> f64 {
        self.class(c).predicted()
    }

    /// What is predicted as no class `c`, `N - P_c`. Of exclusive classes added up
    /// from the others', so it is exact near 0.
    pub fn rejected(&self, c: usize) -> f64 {
        match &self.sums {
            ClassTable::Exclusive(_) => (0..self.classes)
                .filter(|&other| other != c)
                .map(|other| self.predicted(other))
                .sum(),
            // Rounding can carry a sum of probabilities past the number of elements.
            ClassTable::Overlapping(_) => (self.elements - self.predicted(c)).max(0.0),
        }
    }

    /// `V_c + P_c - 2 sum_n w r_cn p_cn`: what class `c` misses plus what it
    /// claims falsely. Added up from small terms, so it is exact near 0.
    pub fn mismatch(&self, c: usize) -> f64 {
        let class = self.class(c);
        class.miss + class.false_alarm
    }

    /// `sum_n w p_cn^2`, from the sums of the squared errors.
    pub fn predicted_square(&self, c: usize) -> f64 {
        let class = self.class(c);
        // p^2 = (1 - p)^2 - 1 + 2 p where the reference is the class.
        let inside = class.squared_miss - self.volume(c) + 2.0 * class.hit;
        inside.max(0.0) + class.squared_false_alarm
    }
}

/// Derivatives of a loss by the sums of [`Statistics`].
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsGradient {
    classes: usize,
    pub(crate) sums: ClassTable,
}

impl StatisticsGradient {
    /// All derivatives zero, of the kind of these sums.
    pub fn zeros(statistics: &Statistics) -> Self {
        let classes = statistics.classes;
        let sums = match statistics.sums {
            ClassTable::Exclusive(_) => ClassTable::Exclusive(Matrices::zeros(classes)),
            ClassTable::Overlapping(_) => {
                ClassTable::Overlapping(vec![ClassSums::default(); classes])
            }
        };
        Self { classes, sums }
    }

    /// Adds derivatives by the sums of class `c` against the rest
    /// ([`Statistics::class`]); `miss` is ignored.
    pub fn add_class(&mut self, c: usize, slopes: &ClassSums) {
        let classes = self.classes;
        match &mut self.sums {
            ClassTable::Overlapping(sums) => sums[c].add(slopes, 1.0),
            ClassTable::Exclusive(matrices) => {
                for label in 0..classes {
                    let (by_p, by_square) = match label == c {
                        true => (slopes.hit, slopes.squared_miss),
                        false => (slopes.false_alarm, slopes.squared_false_alarm),
                    };
                    matrices.sum_p[label * classes + c] += by_p;
                    matrices.squared_error[label * classes + c] += by_square;
                }
                matrices.sum_log_p[c] += slopes.log_hit;
            }
        }
    }

    /// Adds a derivative by [`Statistics::sum_p`] of label `l` and class `c`.
    ///
    /// # Panics
    /// Where regions overlap.
    pub fn add_sum_p(&mut self, l: usize, c: usize, slope: f64) {
        match &mut self.sums {
            ClassTable::Exclusive(matrices) => matrices.sum_p[l * self.classes + c] += slope,
            ClassTable::Overlapping(_) => panic!("sums by label need exclusive classes"),
        }
    }

    /// Adds `factor` times other derivatives.
    pub(crate) fn add(&mut self, other: &Self, factor: f64) {
        match (&mut self.sums, &other.sums) {
            (ClassTable::Exclusive(total), ClassTable::Exclusive(part)) => {
                for (total, part) in total.all_mut().zip(part.all()) {
                    *total += factor * part;
                }
            }
            (ClassTable::Overlapping(total), ClassTable::Overlapping(part)) => {
                for (total, part) in total.iter_mut().zip(part) {
                    total.add(part, factor);
                }
            }
            _ => unreachable!("derivatives of one batch have one activation"),
        }
    }

    /// Multiplies every derivative, as a mean over samples does.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        match &mut scaled.sums {
            ClassTable::Exclusive(matrices) => {
                matrices.all_mut().for_each(|slope| *slope *= factor);
            }
            ClassTable::Overlapping(sums) => {
                for slopes in sums {
                    *slopes = slopes.scaled(factor);
                }
            }
        }
        scaled
    }
}

#[cfg(test)]
impl Statistics {
    /// Of exclusive classes with hard labels; sums that are left out are 0.
    pub(crate) fn by_hand<const N: usize>(count: &[u64], sum_p: [f64; N]) -> Self {
        let mut matrices = Matrices::zeros(count.len());
        matrices.sum_p = sum_p.to_vec();
        Self::of_volumes(count.iter().map(|&n| n as f64).collect(), matrices)
    }

    pub(crate) fn matrices_mut(&mut self) -> &mut Matrices {
        match &mut self.sums {
            ClassTable::Exclusive(matrices) => matrices,
            ClassTable::Overlapping(_) => panic!("exclusive classes only"),
        }
    }
}

#[cfg(test)]
impl StatisticsGradient {
    pub(crate) fn matrices(&self) -> &Matrices {
        match &self.sums {
            ClassTable::Exclusive(matrices) => matrices,
            ClassTable::Overlapping(_) => panic!("exclusive classes only"),
        }
    }
}
