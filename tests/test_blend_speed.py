"""The verdicts of the speed benchmark."""

import pandas as pd

from benchmarks.blend_speed import verdicts


def timed(climb_rmse: float, auc: float, stacker: float, autogluon: float | None) -> pd.DataFrame:
    lines = [
        ("climb", "regression", "rmse", "ours", climb_rmse),
        ("climb", "regression", "rmse", "autogluon_100", autogluon),
        ("climb", "binary", "logloss", "ours", 1.0),
        ("climb", "binary", "auc", "ours", auc),
        ("fit", "binary", "logloss", "convex", 30.0),
        ("fit", "binary", "logloss", "lightgbm", stacker),
        ("fit", "binary", "logloss", "refused", None),
    ]
    return pd.DataFrame(lines, columns=["what", "task", "metric", "who", "seconds"])


def test_each_target_is_met_at_its_limit():
    met = list(verdicts(timed(1, auc=20, stacker=180, autogluon=10)).values())
    assert met == [True, None, True, True, True]  # no peer was timed for log loss


def test_each_target_is_missed_beyond_its_limit():
    met = list(verdicts(timed(1.1, auc=20.1, stacker=181, autogluon=10)).values())
    assert met == [False, None, False, True, False]


def test_a_peer_that_was_stopped_gives_no_verdict():
    assert list(verdicts(timed(1, auc=1, stacker=1, autogluon=None)).values())[0] is None
