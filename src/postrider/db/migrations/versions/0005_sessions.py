"""Sessions that an API key opened."""

import sqlalchemy as sa
from alembic import op

from postrider.db import schema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("credential_id", schema.Bytes(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as batch:
        batch.drop_column("credential_id")
