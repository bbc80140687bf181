"""The faults that `make mutants` puts into the code: file, what stands there once, what replaces it, what it breaks.

tests/test_mutants.py keeps the list true: a snippet that is not there, or there twice, fails.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault: `old` occurs exactly once in `file`."""

    file: str
    old: str
    new: str
    breaks: str


FAULTS = {
    "helpers/model/training.py": [
        ("loss.detach().double() * len(batch)", "loss.detach().double()", "training loss as the mean of batch means"),
        ("total += loss.double() * len(batch)", "total += loss.double()", "validation loss as the mean of batch means"),
        ("order = rows.argsort()", "order = torch.arange(len(rows))", "outputs stay in the order of the batches"),
        ("losses * weights[losses.device][batch.targets]", "losses", "class weights are not used"),
        (", label_smoothing=label_smoothing)\n        if", ")\n        if", "no label smoothing anywhere"),
        ("clip_grad_norm_(parameters, clip)", "clip_grad_norm_(parameters, torch.inf)", "the gradient is not clipped"),
        ("in (*optimizers, *schedulers):", "in optimizers:", "learning rate schedules stand still"),
        ("    model.train()\n", "    model.eval()\n", "no dropout in training"),
        ("    model.eval()\n    total", "    model.train()\n    total", "dropout in evaluation"),
        (">= patience:", "> patience:", "patience is one epoch longer"),
        (
            "row[watch] if higher_is_better else -row[watch]",
            "row[watch]",
            "the epoch with the largest loss is the best",
        ),
        ("score > s.best:", "score >= s.best:", "of equally good epochs the last is kept"),
        ("average.update_parameters(model)", "average.n_averaged.add_(1)", "averaged weights stay the first ones"),
        ("state.best_state or _validated", "_validated", "the last epoch is kept, not the best"),
        ("optimizer.zero_grad(set_to_none=True)", "pass", "gradients add up over the batches"),
        (
            "copy.deepcopy(_validated(s).state_dict())",
            "_validated(s).state_dict()",
            "the best weights go on being trained",
        ),
    ],
    "helpers/model/networks.py": [
        ("total / lengths.sqrt().unsqueeze", "total / lengths.unsqueeze", "the shortcut is divided by the length"),
        (
            "outputs.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)",
            "outputs.amax(1)",
            "the maximum reads padding",
        ),
        ("(outputs * mask.unsqueeze(-1)).sum(1) / lengths.unsqueeze(-1)", "outputs.mean(1)", "the mean counts padding"),
        (".squeeze(-1).masked_fill(~mask, -torch.inf)", ".squeeze(-1)", "attention looks at padding"),
        ("ends, ends - 1 - positions, pos", "ends, (ends - positions) % ends, pos", "the backward reading is rotated"),
        ("outputs[every, lengths - 1]", "outputs[:, -1]", "the last state is read behind the padding"),
        ("counts.clamp(min=1).sqrt()", "counts.clamp(min=1)", "features are divided by n, not by its root"),
        ("self.words.weight[PADDING] = 0", "self.words.weight[PADDING] += 0", "padding has a vector"),
        (
            "self.words.weight.normal_(0, std)",
            "self.words.weight.normal_(0, 2 * std)",
            "word vectors start twice as large",
        ),
        ("requires_grad_(not freeze)", "requires_grad_(True)", "frozen word vectors move"),
        ("dtype=embedded.dtype) >= self.word_dropout", "dtype=embedded.dtype) >= 0", "no word dropout"),
        ("device=ids.device) < self.feature_dropout", "device=ids.device) < 0", "no feature dropout"),
        ("        embedded = self.dropout(embedded)\n", "", "no dropout on the embedded tokens"),
        ("self.dense(self.dropout(pooled))", "self.dense(pooled)", "no dropout on the pooled states"),
        ("self.dropout(inputs) if depth else inputs", "inputs", "no dropout between layers"),
        (
            "list[nn.Module] = [nn.Dropout(dropout)]",
            "list[nn.Module] = [nn.Dropout(0.0)]",
            "no dropout on averaged vectors",
        ),
        ("nn.init.zeros_(self.features.weight)", "pass", "features begin at random"),
    ],
    "helpers/model/siamese.py": [
        ("(margin - distance).clamp(min=0)", "margin - distance", "pairs beyond the margin are pushed further"),
        (
            "y * distance.pow(power) + (1 - y) * apart.pow(power)",
            "(1 - y) * distance.pow(power) + y * apart.pow(power)",
            "similar pairs are pushed apart",
        ),
        ("margin - (far - near)", "margin - (near - far)", "positives are pushed away"),
        ("torch.arange(1, scores + 1, device", "torch.arange(0, scores, device", "target scores are one too low"),
        (
            "(torch.xlogy(target, target) - target * log",
            "(-target * log",
            "cross-entropy in place of the KL divergence",
        ),
        (
            "cross_entropy(logits[labelled], labels[labelled])",
            "cross_entropy(logits, labels.clamp(min=0))",
            "pairs without a label count as entailment",
        ),
        ("[abs(first - second), first * second]", "[first - second, first * second]", "features are not symmetric"),
        (
            "values * mask.repeat(len(values) // rows, *[1] * (values.dim() - 1))",
            "self.mask(values)",
            "the two sentences of a pair lose other dimensions",
        ),
        (
            "return embedded.sum(1) / lengths.unsqueeze(-1)",
            "return embedded.mean(1)",
            "mean word vectors count padding",
        ),
        (".abs().sum(-1))", ".abs().mean(-1))", "MaLSTM's distance is a mean"),
        (
            "(expected_score(outputs) - 1) / (SCORES - 1)",
            "expected_score(outputs) / SCORES",
            "similarity never reaches 0",
        ),
        (
            "bias_hh_l0[size : 2 * size] = 0",
            "bias_hh_l0[size : 2 * size] += 0",
            "the forget bias is not what was asked for",
        ),
        ("1 - outputs / self.margin", "1 - outputs", "the margin does not scale similarity"),
    ],
    "helpers/model/metrics.py": [
        ("np.where(similar, -1, 1)", "np.where(similar, 1, -1)", "the threshold gets most pairs wrong"),
        ("(1 / n + test_share / (1 - test_share))", "(1 / n)", "intervals forget that splits share rows"),
        (
            "stats.t.ppf((1 + confidence) / 2, n - 1)",
            "stats.norm.ppf((1 + confidence) / 2)",
            "a normal for Student's t",
        ),
        ("differences.var(ddof=1)", "differences.var()", "the variance is divided by n"),
        ("if slope <= 0:", "if slope == 0:", "a falling calibration turns the order around"),
        ("(relatedness - LOWEST) / (HIGHEST - LOWEST)", "(relatedness - LOWEST) / HIGHEST", "similarity ends at 0.8"),
        ("pos_label=1", "pos_label=0", "precision and recall of ham"),
        ("(second_right & ~first_right)", "second_right", "McNemar counts rows that both get right"),
        ("SIMILAR = 3.5", "SIMILAR = 3.0", "pairs are similar from 3 on"),
        ("score(random.integers(0, n, n))", "score(random.permutation(n))", "resamples without replacement"),
        ("C: float = 0.01", "C: float = 1.0", "the entailment classifier is hardly regularised"),
    ],
    "helpers/model/recovery.py": [
        ("for _ in range(done.batches):", "for _ in range(0):", "a resumed epoch reads batches twice"),
        ("if done.batches and done.generators is not None:", "if False:", "a resumed epoch draws other dropout"),
        ('identity | {"code": _code()}', "identity", "an interrupted training goes on after a change of code"),
        ("scheduler.load_state_dict(saved)", "pass", "a resumed schedule begins anew"),
        ("max(found, key=", "min(found, key=", "the older checkpoint is resumed"),
        ("SLOTS[self._number % 2]", "SLOTS[0]", "the only checkpoint is overwritten"),
    ],
    "helpers/model/checkpoints.py": [
        ('if sha256_of(folder / TENSORS) != description["sha256"]:', "if False:", "damaged weights are read"),
    ],
    "helpers/model/scoring.py": [
        ("torch.addcmul(fresh, keep, cell)", "fresh + cell", "the quick LSTM never forgets"),
        (".sum(0) / len(outputs) ** 0.5", ".sum(0) / len(outputs)", "the quick shortcut is divided by the length"),
    ],
    "helpers/model/baselines.py": [
        ('class_weight="balanced", ', "", "the linear SVM ignores how rare spam is"),
    ],
    "helpers/data/text.py": [
        ("MIN_LETTERS = 3", "MIN_LETTERS = 2", "cleaning keeps words of two letters"),
        (r'return re.sub(r"\d", "0", normal_form(token))', "return normal_form(token)", "digits tell word forms apart"),
        ('unicodedata.normalize("NFC", text)', "text", "composed and decomposed letters are two"),
        ('bordered = f"<{token}>"', "bordered = token", "n-grams do not know where a word begins"),
        ("sorted(counts.items()) if count >= min_count", "sorted(counts.items())", "features seen once are kept"),
        (
            "most_common(max_size) if count >= min_count",
            "most_common(max_size) if count > min_count",
            "rare words are lost",
        ),
        ("self.index.get(token, UNKNOWN)", "self.index.get(token, PADDING)", "unknown words read as padding"),
        (
            "zip([START, *tokens], tokens, strict=False)",
            "zip(tokens, tokens[1:], strict=False)",
            "no pair begins a title",
        ),
        ('number == UNKNOWN and "-" in word', "False", "hyphenated words are unknown"),
        ('"lower": (word.lower(), *others)', '"lower": (word, *others)', "capitals are another word"),
        ('.replace("’", "\'")', "", "curly apostrophes are not read"),
    ],
    "helpers/data/batching.py": [
        (".argsort(stable=True)", ".argsort(stable=True, descending=True)", "batches begin with the longest texts"),
        ("torch.randperm(n, generator=self.generator)", "torch.randperm(n)", "the order ignores the seed's generator"),
        ("max(1, len(sequence))", "len(sequence)", "an empty text has length 0"),
        ("high - low >= gap", "high - low > gap", "triplets at exactly the gap are left out"),
        ("not in paired[anchor] | paired[positive]", "not in paired[anchor]", "negatives may go with the positive"),
        ("if relatedness < related:", "if relatedness <= related:", "pairs at exactly 4 are not related"),
        (
            "self.ids.lengths[self.index].max(0)",
            "self.ids.lengths[self.index].min(0)",
            "pairs are sorted by the shorter side",
        ),
        (
            "self.targets[chosen], self.labels[chosen]",
            "self.targets[chosen], self.labels[: len(chosen)]",
            "labels of other rows",
        ),
    ],
    "helpers/data/splits.py": [
        ("frame.drop_duplicates(column)", 'frame.drop_duplicates(column, keep="last")', "the last repeat is kept"),
        ("stratify=np.asarray(labels)", "stratify=None", "splits are not stratified"),
        (
            r'str.replace(r"\d+", "0", regex=True)',
            r'str.replace(r"\d", "0", regex=True)',
            "near-copies differ in digits",
        ),
        (
            "repeats(scored, pd.concat(evaluated)).any",
            "repeats(scored, pd.concat(evaluated)).pair",
            "STS brings test sentences",
        ),
        (
            "sorted((normalize_sentence(first), normalize_sentence(second)))",
            "(normalize_sentence(first), normalize_sentence(second))",
            "a pair and its swap are two",
        ),
        ("STS_TOP = 5.0", "STS_TOP = 4.0", "STS scores go beyond 1"),
        ("np.union1d(self.train, self.valid)", "self.train", "validation does not join training"),
    ],
    "helpers/data/vectors.py": [
        ("std = float(pretrained.std()) if known.any() else 0.1", "std = 1.0", "unknown words start too large"),
        (
            "self.matrix[self.reader.ids(sentence)].mean(0)",
            "self.matrix[self.reader.ids(sentence)].sum(0)",
            "sums, not means",
        ),
        ("part[known & ~mask] = 0", "part[known & ~mask] *= 1", "a word that one file lacks gets noise"),
        ("    matrix[list(zero_rows)] = 0.0\n", "", "padding gets a random vector"),
    ],
    "helpers/tasks/base.py": [
        ("history.rows[history.best_epoch - 1]", "history.rows[-1]", "validation of the last epoch is reported"),
    ],
    "helpers/tasks/sms.py": [
        ("label_smoothing=config.label_smoothing, class", "label_smoothing=0.0, class", "SMS without label smoothing"),
        ("clip=config.clip", "clip=None", "SMS without clipping"),
        ("pct_start=0.1", "pct_start=0.5", "SMS's schedule peaks at half"),
        (
            "lr=config.lr, weight_decay=config.weight_decay",
            "lr=config.lr, weight_decay=0.0",
            "SMS without weight decay",
        ),
        ('test["probability"] >= config.threshold', 'test["probability"] >= 0.9', "spam from 0.9 on"),
        ('if kind != "duplicates":', "if True:", "repeats are always left out"),
        ("min_count = max(1, config.feature_count)", "min_count = 1", "rare messages' words have their own id"),
    ],
    "helpers/tasks/meli.py": [
        ("titles_step(config.label_smoothing)", "titles_step(0.0)", "MeLi without label smoothing"),
        ("(step + 1) / max(1, steps // 10)", "(step + 1) / max(1, steps // 2)", "MeLi's learning rate rises for half"),
        (
            "SparseAdam(sparse, lr=config.sparse_lr)",
            "SparseAdam(sparse, lr=config.lr)",
            "sparse rows at the dense rate",
        ),
        ("momentum=0.9", "momentum=0.0", "SGD without momentum"),
        (
            "kind(dense, lr=config.lr, weight_decay=config.weight_decay)",
            "kind(dense, lr=config.lr)",
            "decay as torch has it",
        ),
        ("dropout=c.dropout, skip=c.skip,", "dropout=c.dropout,", "MeLi without the shortcut"),
        ("np.argsort(-probabilities", "np.argsort(probabilities", "the least likely categories come first"),
        (
            "min_count=config.min_count, pairs=config.pairs",
            "min_count=config.min_count",
            "word pairs cannot be left out",
        ),
    ],
    "helpers/tasks/meli_titles.py": [
        ("test_size=1 / 9", "test_size=0.1", "validation is 9%, not 10%"),
        (
            " if token not in stop_words] for i in sides.train)",
            " if token not in stop_words] for i in range(len(token_lists)))",
            "the dictionary has seen the test side",
        ),
    ],
    "helpers/tasks/sick.py": [
        ("pct_start=0.1", "pct_start=0.5", "SICK's schedule peaks at half"),
        ("config.entailment_weight * entailment_loss", "entailment_loss", "the entailment loss without its weight"),
        (
            "to_similarity(config.similar_from) - 1e-6",
            "to_similarity(config.similar_from) + 1e-6",
            "pairs at the cut are not",
        ),
        ('power=2 if config.loss == "squared_pairwise" else 1', "power=1", "the squared loss is not squared"),
        ("pd.concat([test, sides.test,", "pd.concat([sides.test,", "SICK's test sentences may train on other folds"),
        ("clip=config.clip", "clip=None", "SICK without clipping"),
        ("model.calibrate(sides.valid)", "model.calibrate(sides.train)", "calibrated on what was trained on"),
        ("np.mean(similarity, axis=0).clip(0, 1)", "similarity[0].clip(0, 1)", "one teacher rates for all"),
        ("scored[~seen.pair]", "scored[~seen.both]", "pairs of known sentences count as repeats"),
        ('"valid_pearson" if config.select else "epoch"', '"epoch"', "the last epoch is kept, whatever is selected"),
        ("weight_decay=config.weight_decay)\n    if not", "weight_decay=0.1)\n    if not", "SICK with weight decay"),
        ("lr=config.rated_lr", "lr=config.lr", "rated pairs are learnt at another rate"),
    ],
}
MUTANTS = [Mutant(file, *fault) for file, faults in FAULTS.items() for fault in faults]
