"""Flows: YAML that orchestrates tasks. Everything here is pure: no clock, no socket, no SQL.

| module | |
|---|---|
| `parse`, `parse_tasks`, `parse_inputs`, `parse_triggers`, `reading`, `types` | a document to a `model.Flow`, or every
mistake | | `expressions` | `{{ … }}` in Pebble's syntax, bounded in time, size and depth | | `inputs` | values of
inputs, by their types and rules; `resolve_inputs` for a start and for `onResume` | | `advance` | what happens next in
an execution | | `triggers` | whether what became of one execution starts another | | `graph` | a picture |

**An execution** is a `State` (`advance.state`): a `Head` and one `Run` per task run, numbered in the order of creation;
the flow itself is run 0. `begin` makes a new one, CREATED, from inputs that `resolve_inputs` has checked. Runs are
plain data. `Block` on a run has the counters of the tasks below it, so that a step never looks at all runs; `Run.fixed`
is large perhaps, but is set once, so a store writes it when its identity has changed.

**A step** is `advance.step.advance(flow, state, events, facts) -> Step`. It changes nothing: `Step.changes` (head,
runs, runs that are gone) go to the store, and to the cached state by `State.apply`, after the commit; `Step.actions`
are carried out in the same transaction. `Step.taken` events were worked off; with `Step.more`, call again, with the
others or with none. The same state, events and facts give the same step, however the events are cut into portions.

**Events** (`advance.events`) come from the outside, each with the database's time in microseconds: `Started` (with what
`concurrency` allows), `Began` and `Ended` (tasks, subflows), `Fired` (timers), `Resumed` (after
`commands.check_resume`), `Killed`, `Restarted` (if `restart.can_restart`). What is late, or about a former try, changes
nothing, so an event may be told twice.

**Actions** name the run they are about: `StartTask`, `StartFlow`, `EndTask`, `CloseDirectory`, `SetTimer`, `Log`,
`End`, `Finish`, `StartAgain`. (execution, run, attempt[, iteration]) names a task or a subflow for good: inserting it
twice is harmless.

**Facts** (`advance.facts`) are what a step has to know from outside: flows, templates, secrets, values, files.
`advance` raises `MissingFactError` with the key; fetch it, `learn` it, call again. Facts of a step have to be kept with
it where it is to be replayed.

Also: `restart.replay` makes the state of a new execution from an old one; its first event is `Started`.
"""
