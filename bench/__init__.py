"""The figures Postrider promises, measured against Postfix and OpenDKIM in the same run."""
