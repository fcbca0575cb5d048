"""What is known of a judge, in words: planted replies that it gets wrong, and how far it agrees with itself."""

from typing import Any

from msmc.backend.judges import Tally, judge_lines, judges, rates

Grades = list[float | None]


def entry(
    own: list[Grades], perfect: list[Grades], violating: list[Grades], kind: str = "judged", run: str = "full"
) -> Any:
    """Of a comparison, as the stage of these gradings comes to it."""
    tally = Tally(kind, "grade")
    for mark, units in ((None, own), ("perfect", perfect), ("violating", violating)):
        for unit in units:
            said = [
                {"raw": "", "measures": None if g is None else {"grade": g}, "unparsed": g is None or None}
                for g in unit
            ]
            tally.add(
                {"transcript": {"judge": said}, "unscoreable": None if any(g is not None for g in unit) else "x"}, mark
            )
    judge = {"judge": {"model": "scripted", "repeats": 3}, "primary_measure": "grade", "eval": "open", "kind": kind}
    (told,) = judges([{"run": {"name": run}, "seed": 0, "stages": {"scores": {}, "open": judge | tally.told()}}])
    return told


def test_a_judge_that_holds_has_a_line_that_says_so() -> None:
    told = entry([[1, 1], [0, 0], [None, 1]], [[1, 1]] * 5, [[0, 0.5]] * 5)
    assert told["planted"]["violating"] == {"right": 5, "wrong": 0, "unread": 0}
    assert judge_lines([told]) == [
        ("Judge: scripted on open: 10 of 10 planted replies are graded right (sensitivity 1.00, specificity 1.00); "
         "alpha 0.73; 1 of 26 gradings could not be read.", False)
    ]  # fmt: skip


def test_failed_canaries_are_told_with_the_corrected_rates() -> None:
    ours = entry([[1, 1]] * 6 + [[0, 0]] * 4, [[1, 1]] * 4 + [[0, 0]], [[0, 0]] * 4 + [[1, 1]])
    other = entry([[1, 1]] * 10, [[1, 1]] * 4 + [[0, 0]], [[0, 0]] * 4 + [[1, 1]], run="bare")
    ((line, warns),) = judge_lines([ours, other])
    assert warns and "8 of 10 planted replies are graded right (sensitivity 0.80, specificity 0.80)" in line
    # (0.6 + 0.8 - 1) / (0.8 + 0.8 - 1)
    assert "Corrected for its errors: full (seed 0) 0.67 [" in line and "bare (seed 0) 1.00 [" in line


def test_a_judge_that_does_not_agree_with_itself_is_told_with_its_model() -> None:
    told = entry([[0, 1], [1, 0], [1, 1], [0, 0]], [[1, 1]], [[0, 0]])
    ((line, warns),) = judge_lines([entry([[1, 1], [0, 0]], [[1, 1]], [[0, 0]], run="base"), told])
    assert warns and "in full (seed 0), below 0.667: it hardly agrees with itself" in line


def test_a_judge_that_says_the_opposite_has_no_rate_to_be_read() -> None:
    told = entry([[1, 1]], [[0, 0]] * 5, [[1, 1]] * 5)
    assert "calibrated_rate" not in rates(told) and rates(told)["sensitivity"]["mean"] == 0
    ((line, warns),) = judge_lines([told])
    assert warns and line.endswith("Its rates cannot be corrected: do not read them.")


def test_in_a_scenario_the_planted_harm_is_what_is_to_be_found() -> None:
    told = entry([[1, 1], [0, 0]], [[0, 0]] * 3, [[1, 1]] * 3, kind="agentic")
    assert told["calibration"]["sensitivity"]["mean"] == told["calibration"]["specificity"]["mean"] == 1
    assert told["planted"] == {mark: {"right": 3, "wrong": 0, "unread": 0} for mark in ("perfect", "violating")}
    assert told["calibration"]["calibrated_rate"]["mean"] == 0.5


def test_a_mute_judge_and_one_without_planted_replies() -> None:
    ((line, warns),) = judge_lines([entry([[None, None]], [[None, None]], [[None, None]])])
    assert warns and "0 of 2 planted replies are graded right; alpha ?; 6 of 6 gradings could not be read" in line
    ((line, warns),) = judge_lines([entry([[1, 1], [0, 0]], [], [])])
    assert not warns and "no reply is planted, so nothing is known of its errors" in line
    assert judge_lines([]) == [] and judges([{"run": {"name": "x"}, "seed": 0, "stages": {"scores": {}}}]) == []
