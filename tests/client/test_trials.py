"""Trials go on until they have shown what they are for, and what came out is said once."""

from sealwright.client.trials import Trials
from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.statements.verifier_reports import MOST_TRIALS, Trial
from sealwright.trust.decision import Decision, Verified

ACCEPTED = Decision("accepted", Verified("i", "k", "ES256", {}))


def refused(reason, kind=RejectedError):
    return Decision.refused(kind(reason, "no"))


class Deciding:
    """Answers as it is told, and counts."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self, _):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def outcomes(kind, *answers):
    """What is said with each poll, every one of which is answered."""
    deciding = Deciding(*answers)
    trials, said = Trials(deciding, ManualClock()), []
    for _ in range(len(answers) + 3):
        trials.offer({"t": Trial(kind, "token", "nobody")})
        trials.run()
        now = trials.unsaid()
        said.append(now["t"].reason or now["t"].outcome if now else None)
        trials.said(now)
    return said, deciding.asked


def test_a_canary_that_fails_for_another_reason_than_its_key_is_tried_on():
    said, asked = outcomes("canary", ACCEPTED, refused(Reason.CLAIMS_NOT_YET_VALID), refused(Reason.KEY_REVOKED))
    assert said == ["accepted", "claims.not_yet_valid", "key.revoked", None, None, None]
    assert asked == 3


def test_a_canary_is_over_when_its_time_is():
    assert outcomes("canary", refused(Reason.CLAIMS_EXPIRED))[1] == 1


def test_what_did_not_change_is_not_said_again_and_tried_on():
    said, asked = outcomes("canary", ACCEPTED, ACCEPTED)
    assert said == ["accepted", None, None, None, None]
    assert asked == 5


def test_a_rehearsal_that_could_not_be_decided_is_tried_on_until_it_is_accepted():
    down = refused(Reason.SOURCE_UNAVAILABLE, UnavailableError)
    said, asked = outcomes("rehearsal", down, refused(Reason.KEY_NOT_FOUND), ACCEPTED)
    assert said == ["source.unavailable", "key.not_found", "accepted", None, None, None]
    assert asked == 3


def test_what_no_answered_poll_carried_is_said_again():
    trials = Trials(Deciding(ACCEPTED), ManualClock())
    trials.offer({"t": Trial("rehearsal", "token", "nobody")})
    trials.run()
    first = trials.unsaid()
    trials.run()
    assert trials.unsaid() == first
    trials.said(first)
    assert trials.unsaid() == {}


def test_a_flood_of_trials_is_bounded():
    deciding = Deciding(ACCEPTED)
    trials = Trials(deciding, ManualClock())
    for batch in range(100):
        trials.offer({f"{batch}-{number}": Trial("canary", "token", "nobody") for number in range(MOST_TRIALS)})
    trials.run()
    assert deciding.asked == MOST_TRIALS
    assert len(trials.unsaid()) == MOST_TRIALS
