"""A run in Ray's own metrics, which Prometheus scrapes from the agent of the node where rank 0 is.

Every name carries the tag ``run`` (``--run-name``, or eight digits of a hash of OUT; never a path) beside Ray's own,
and Prometheus sees it behind ``ray_``. ``dashboards/README.md`` has the same table.

| name | kind | unit | told |
|---|---|---|---|
| ``molre_train_loss`` | gauge | mean focal loss since the last time | every ``--tell-every-s`` |
| ``molre_train_studies_total`` | counter | studies seen by this worker's run, over all workers | both |
| ``molre_train_studies_per_second`` | gauge | over all workers | both |
| ``molre_train_learning_rate`` | gauge | of the last step | every ``--tell-every-s`` |
| ``molre_train_epoch`` | gauge | epochs begun, or finished once one is validated | both |
| ``molre_train_validation_mean_auc`` | gauge | over the findings that count; absent where none does | a validation |
| ``molre_train_gate_entropy`` | gauge, tag ``site`` | 0 one expert chosen, 1 all count the same | a validation |
| ``molre_train_effective_experts`` | gauge, tag ``site`` | 1 to K | a validation |

Ray hands metrics to the agent every ten seconds (``metrics_report_interval_ms``), so a shorter run may leave none.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge

from molre.training.watch import Step, Validation, Watcher

GAUGES = {
    "molre_train_loss": "Mean focal loss over the training steps since the last time",
    "molre_train_studies_per_second": "Studies trained on a second, over all workers",
    "molre_train_learning_rate": "Learning rate of the last step",
    "molre_train_epoch": "Epochs begun, or finished once one is validated",
    "molre_train_validation_mean_auc": "Mean AUC of the validation split over the findings that count",
}
SITE_GAUGES = {
    "molre_train_gate_entropy": "Mean entropy of a router's gates over log K, on the validation split",
    "molre_train_effective_experts": "Exponential of the mean gate's entropy, on the validation split",
}
STUDIES = "molre_train_studies_total"


class RayMetrics(Watcher):
    """Sets Ray's gauges and counters in this process.

    Args:
        run: what the tag ``run`` says; no path and no patient.
        seen: studies that the run had seen before.
    """

    def __init__(self, run: str, seen: int) -> None:
        self._seen = seen
        self._gauges = {name: Gauge(name, told, ("run",)) for name, told in GAUGES.items()}
        self._sites = {name: Gauge(name, told, ("run", "site")) for name, told in SITE_GAUGES.items()}
        self._studies = Counter(STUDIES, "Studies seen over all workers", ("run",))
        for metric in (*self._gauges.values(), *self._sites.values(), self._studies):
            metric.set_default_tags({"run": run})

    def step(self, step: Step) -> None:
        """Loss, learning rate, pace and studies."""
        self._set("loss", step.loss)
        self._set("learning_rate", step.learning_rate)
        self._set("epoch", float(step.epoch + 1))
        self._seen_now(step)

    def validation(self, validation: Validation) -> None:
        """The score, and what the routers do."""
        if validation.mean_auc is not None:
            self._set("validation_mean_auc", validation.mean_auc)
        self._set("epoch", float(validation.epoch))
        self._seen_now(validation)
        for site, figures in validation.gates.items():
            self._sites["molre_train_gate_entropy"].set(figures["entropy"], {"site": site})
            self._sites["molre_train_effective_experts"].set(figures["effective"], {"site": site})

    def _set(self, name: str, value: float) -> None:
        self._gauges[f"molre_train_{name}"].set(value)

    def _seen_now(self, told: Step | Validation) -> None:
        self._set("studies_per_second", told.studies_per_second)
        if told.seen > self._seen:
            self._studies.inc(told.seen - self._seen)
            self._seen = told.seen
