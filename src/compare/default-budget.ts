/** The budget that judges where no file was given, as the text that a user copies and edits. */
export const DEFAULT_BUDGET = `# What the candidate may cost, compared with the baseline under the same workload.
# A section that is left out is judged as written here; "off" switches a section off:  memory: off
apiVersion: cutover/budget@1

confidence:
  # Chance of a wrong "pass" and of a wrong "fail", each. 5 % is what reviewers expect; below it, plan more rounds.
  alpha: 0.05

# Response time at the same offered load, all families together. An increase is allowed up to max_increase or up to the
# floor, whichever is more: users do not feel microseconds, and 60 µs instead of 40 µs is not "50 % slower" to anyone.
latency:
  # P99 varies by 2-5 % between restarts of one server: five rounds tell 20 % apart with room to spare.
  p99: { max_increase: 20%, floor: 100us }
  # The tail varies more, so a tighter bound would mostly answer "cannot tell". Where samples are too few for P99.9,
  # the highest of P99.5, P99 and P95 that can be defended is judged instead, and the report says so.
  p99.9: { max_increase: 25%, floor: 200us }

# Waits of the earliest pending request that are longer than this, or than ten times the median where that is more: the
# candidate may have twice as many. To prove that takes about 80 of them, more than most runs see; fewer fail the run
# where they cannot be chance (8 against none), and are otherwise shown and not judged.
stalls: { longer_than: 5ms, max_rate_ratio: 2 }

memory:
  # (RSS - RSS of the empty server) / bytes of keys and values, after the preload and at the end. It repeats within 0.5 %,
  # and 10 % is about the headroom that a well-kept maxmemory leaves. Below 8 MiB it is start-up noise, not data.
  rss_per_logical_byte: { max_increase: 10%, floor: 8MiB }
  # Also after heavy overwriting and after a refill with longer values, and the peak while a snapshot is written. Naming
  # these has them measured: on servers of their own, a minute and a half more in each of five rounds.
  # rss_per_logical_byte: { max_increase: 5%, phases: [fill, end, churn, refill] }
  # peak_during_save: { max_increase: 10% }

errors:
  # Kinds of error (WRONGTYPE, OOM, ...) that only the candidate answers. The same bytes go to both: each one is a break.
  new_prefixes: 0
  # More requests that fail or get no reply, in percentage points of all requests: 99.9 % becoming 99.8 % is noticed.
  max_increase: 0.1%

# Families with a budget of their own; "*" stands for any text. All families that match are judged together.
# "level: warn" reports without deciding the verdict, "off" leaves the family to the budget above.
# objectives:
#   - family: "session:*"
#     latency:
#       p99.9: { max_increase: 10%, floor: 100us }
#   - family: "feed:{id}"
#     level: warn          # without latency of its own: judged by the latency section above
`;
