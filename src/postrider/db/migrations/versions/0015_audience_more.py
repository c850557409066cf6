"""Dynamic segments are refreshed by themselves, for as long as somebody asks for them; a flag of a consent
that was never said is null, for false is a refusal from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

FLAGS = ("email_marketing", "sms_marketing", "tracking", "third_party_sharing")


def upgrade() -> None:
    op.add_column("segments", sa.Column("asked_at", sa.BigInteger(), nullable=True))
    op.add_column("segments", sa.Column("refresh_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE segments SET asked_at = updated_at")
    op.execute("UPDATE segments SET refresh_at = updated_at WHERE is_dynamic = 1")
    for flag in FLAGS:
        op.execute(
            f"""UPDATE contacts SET consent = replace(consent, '"{flag}"\\:false', '"{flag}"\\:null')
                WHERE consent IS NOT NULL"""  # noqa: S608
        )
    op.create_index(
        "ix_segments_refresh_at",
        "segments",
        ["refresh_at"],
        postgresql_where=sa.text("refresh_at IS NOT NULL"),
        sqlite_where=sa.text("refresh_at IS NOT NULL"),
    )


def downgrade() -> None:
    for flag in FLAGS:
        op.execute(
            f"""UPDATE contacts SET consent = replace(consent, '"{flag}"\\:null', '"{flag}"\\:false')
                WHERE consent IS NOT NULL"""  # noqa: S608
        )
    op.drop_index("ix_segments_refresh_at", table_name="segments")
    op.drop_column("segments", "refresh_at")
    op.drop_column("segments", "asked_at")
