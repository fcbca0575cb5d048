"""Gates on what was written: deterministic, before training. Each is a function of a text that says why it takes a row, and at
which place.

`written` puts them one after another for an arm's documents, `parity` compares arms, `checked` runs all of them on what is there.
"""

from msmc.backend.gates.chats import free_of_faults as free_of_faults
from msmc.backend.gates.residue import leftover as leftover
from msmc.backend.gates.residue import own_words as own_words
from msmc.backend.gates.written import NOT_SHOWN as NOT_SHOWN
from msmc.backend.gates.written import Gates as Gates
from msmc.backend.gates.written import Rows as Rows
from msmc.backend.gates.written import free_of_held_out as free_of_held_out
from msmc.backend.gates.written import no_demos as no_demos
