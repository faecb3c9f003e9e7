"""The one style sheet of a report, and the policy that allows it and nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5c6370; --line: #d4d7dc; --back: #ffffff; --pane: #f5f6f8;
  --accent: #1f6feb; --mark: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --soft: #9aa1ac; --line: #3a3f47; --back: #16181c;
  --pane: #1f2228; --accent: #6ea8fe; --mark: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 72rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin-top: 2.5rem; font-size: 1.2rem; } h3 { font-size: 1rem; }
.soft { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.left, td.left { text-align: left; }
ul.cautions { border-left: 3px solid var(--mark); padding-left: 2rem; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .tick { fill: var(--soft); text-anchor: middle; }
svg .grid { stroke: var(--line); } svg .base { stroke: var(--mark); stroke-dasharray: 4 3; }
svg .ci { stroke: var(--accent); stroke-width: 2; } svg .point { fill: var(--accent); }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0 0.8rem; }
summary { cursor: pointer; padding: 0.5rem 0; }
pre { background: var(--pane); border-radius: 6px; padding: 0.8rem; margin: 0.3rem 0 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; }
"""

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Only this very style sheet; no script, picture, font, frame or request, whatever a model managed to write."""
