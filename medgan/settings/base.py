"""Settings that refuse what they do not know."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings; an unknown key is an error. A number may be written as text, for YAML reads ``1e-3`` so."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
