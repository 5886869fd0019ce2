"""A restore never brings a revoked key back, whatever the backup and the present hold."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sealwright.keys.record import KeyRecord
from sealwright.keys.restoring import merged
from sealwright.keys.states import LEGAL_MOVES, KeyState

NOW = 1_700_000_000.0
FINAL = (KeyState.REVOKED, KeyState.DESTROYED)


def key(number: int, state: KeyState, generation: int = 1, **facts: object) -> KeyRecord:
    made = KeyRecord(f"{number:032x}", "default", "token", "ES256", "local", state, NOW + number, generation)
    return replace(made, key_id=f"kid-{number}", **facts)  # type: ignore[arg-type]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[KeyRecord], list[KeyRecord]]:
    """An older and a later picture of the same keys, each later one reached by legal moves; some are new."""
    backup, current = [], []
    for number in range(draw(st.integers(0, 6))):
        state, generation = KeyState.PENDING, 1
        for _ in range(draw(st.integers(0, 4))):
            state, generation = _moved(draw, state), generation + 1
        backup.append(key(number, state, generation, activated_at=NOW - number))
        for _ in range(draw(st.integers(0, 3))):
            state, generation = _moved(draw, state), generation + 1
        current.append(key(number, state, generation, activated_at=NOW - number))
    current += [key(100 + number, draw(st.sampled_from(KeyState))) for number in range(draw(st.integers(0, 3)))]
    known = draw(st.integers(0, len(current)))
    return backup, current[:known]


def _moved(draw: st.DrawFn, state: KeyState) -> KeyState:
    return draw(st.sampled_from(sorted(LEGAL_MOVES[state]))) if LEGAL_MOVES[state] else state


@given(histories(), st.sets(st.integers(0, 8)))
def test_no_final_state_is_undone_and_one_key_signs(
    pictures: tuple[list[KeyRecord], list[KeyRecord]], feed: set[int]
) -> None:
    backup, current = pictures
    revoked = {f"kid-{number}": NOW - 5 for number in feed}
    after = {record.key_id: record for record in merged(current, backup, revoked, NOW)}
    assert after.keys() == {record.key_id for record in [*backup, *current]}
    for record in [*backup, *current]:
        if record.state in FINAL:
            assert after[record.key_id].state in FINAL
        if record.state is KeyState.REVOKED or record.key_id in revoked:
            assert after[record.key_id].state is KeyState.REVOKED
        assert after[record.key_id].generation >= record.generation or after[record.key_id].state in FINAL
    states = [record.state for record in after.values()]
    assert states.count(KeyState.ACTIVE) <= 1
    assert states.count(KeyState.STANDBY) <= 1


def test_the_later_picture_of_a_key_stays() -> None:
    old, new = key(1, KeyState.ACTIVE, 3), key(1, KeyState.VERIFY_ONLY, 4)
    active = key(2, KeyState.ACTIVE, 3)
    assert merged([new, active], [old, key(2, KeyState.STANDBY, 2)], {}, NOW) == [new, active]


def test_where_the_feed_revokes_the_active_key_its_standby_steps_in() -> None:
    leaked, standby = key(1, KeyState.ACTIVE, activated_at=NOW), key(2, KeyState.STANDBY, published_at=NOW)
    one, two = merged([], [leaked, standby], {"kid-1": NOW + 60}, NOW + 100)
    assert (one.state, one.revoked_at, two.state) == (KeyState.REVOKED, NOW + 60, KeyState.ACTIVE)
