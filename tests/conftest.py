"""Set-up of the whole test run."""

from jaxtyping import install_import_hook

install_import_hook("molre", "beartype.beartype")
