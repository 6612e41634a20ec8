"""Settings that refuse what they do not know."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings; an unknown key is an error, and so is a value that is not of its type."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("is not odd")
    return value


Odd = Annotated[int, AfterValidator(_odd)]
"""A whole number with a middle, such as of slices."""
