"""What a campaign that is called off gives back of its organization's quota."""

from sqlalchemy import text
from tests.factories import make_account, make_domain
from tests.flow.crowds import draw_up, fill_list, people

from postrider.db.database import Database
from postrider.engine import jobs
from postrider.engine.jobs import Job
from postrider.engine.principal import Principal
from postrider.engine.sending import Routes, campaigns, expand
from postrider.engine.sending.routes import Delivery
from postrider.kit.seal import Sealer

ROUTES = Routes(Delivery.CAPTURE)
PEOPLE = expand.WRITTEN_AT_ONCE + 20  # two pages
OWNER = "us"


def claim(database: Database, kind: str) -> Job:
    job = database.write_now(jobs.claim_job, OWNER, [kind])
    assert job is not None
    return job


def used(database: Database, organization_id: int) -> int:
    asked = text("SELECT sum(messages) FROM usage WHERE organization_id = :id")
    return int(database.read_now(lambda tx: tx.execute(asked, {"id": organization_id}).scalar_one()))


async def test_a_campaign_cancelled_while_it_is_made_gives_all_its_quota_back(database: Database) -> None:
    sealer = Sealer(b"k" * 32)
    account = make_account(database, sealer)
    make_domain(database, sealer, account.organization_id)
    principal = Principal(account.organization_id)
    campaign = draw_up(database, principal, list_id=fill_list(database, principal, people(PEOPLE)))
    await campaigns.start_campaign(database, principal, campaign.id, ROUTES)
    assert used(database, account.organization_id) == PEOPLE
    await expand.expand(database, claim(database, expand.KIND), OWNER, lambda: True, ROUTES)
    database.write_now(campaigns.cancel_campaign, principal, campaign.id)
    await expand.expand(database, claim(database, expand.KIND), OWNER, lambda: False, ROUTES)
    sweep: Job | None = claim(database, campaigns.CALL_OFF)
    while sweep is not None:
        sweep = database.write_now(campaigns.call_off, sweep, OWNER)
    assert used(database, account.organization_id) == 0
