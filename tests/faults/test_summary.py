"""What the summary says of the time around faults."""

from tests.faults.history import History
from tests.faults.story import quick_story
from tests.faults.summary import recoveries, summary


def _told() -> History:
    story = quick_story(seed="s", minutes=1, skipped={"fill-disk": "no mounts"})
    for n in range(3):
        story.create(f"t{n}")
    story.finish("t0", "e0")
    story.fault("kill-postgres", 2.0, "postgres")
    story.wait(1.0)
    story.finish("t1", "e1")
    story.fault("kill-server", 0.5)
    story.wait(0.5)
    story.finish("t2", "e2")
    return story.end()


def test_the_time_to_the_next_success_counts_from_the_begin_of_a_fault() -> None:
    found = {each.fault: each for each in recoveries(_told())}
    assert [round(each, 1) for each in found["kill-postgres"].seconds] == [3.0]
    assert round(found["kill-postgres"].pause, 1) == 3.0


def test_after_the_loss_of_a_server_only_what_succeeds_elsewhere_counts() -> None:
    (lost,) = [each for each in recoveries(_told()) if each.fault == "kill-server"]
    assert (lost.count, lost.seconds) == (1, [])


def test_the_summary_is_markdown_with_a_row_per_kind_of_fault() -> None:
    lines = summary(_told(), []).splitlines()
    assert "| seed | s |" in lines
    assert "| `kill-postgres` | 1 | 3.01 s | 3.01 s of 1 | 3.01 s |" in lines
    assert "- no `fill-disk`: no mounts" in lines
    assert "| violations | **0** |" in lines


def test_recovered_creates_are_listed_the_first_twenty_of_them() -> None:
    story = quick_story()
    for n in range(22):
        story.create(f"t{n:02}", heard=False)
    (line,) = [each for each in summary(story.end(), []).splitlines() if "recovered" in each]
    assert line.endswith("t17, t18, t19 and 2 more")
