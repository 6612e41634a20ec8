"""Settings that refuse what they do not know."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings; an unknown key is an error, a wrong type is not coerced from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
