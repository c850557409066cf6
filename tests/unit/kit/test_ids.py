"""Ids that are told before the thing is made."""

import uuid

from postrider.kit.ids import id_time, new_id, nth_id


def test_the_ids_of_a_run_are_distinct_in_order_and_as_old_as_it() -> None:
    run, other = new_id(), new_id()
    numbers = (0, 1, 255, 256, 49_999, 2**24 - 1)
    ids = [nth_id(run, number) for number in numbers]
    assert ids == sorted(set(ids)) == [nth_id(run, number) for number in numbers]
    assert {id_time(each) for each in ids} == {id_time(run)}
    assert not {nth_id(other, number) for number in numbers} & {*ids, run}
    assert {uuid.UUID(bytes=each).version for each in ids} == {7}
