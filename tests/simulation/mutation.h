// Protections switched off on purpose. A checker that does not notice is worth nothing, so each of
// these must be found within a bounded number of seeds; simulation_test.cc sees to it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace fanfare::simulation {

enum class Mutation {
  kNone,
  // broker::Protections
  kAcknowledgeBeforeJournal,
  kForgetLeases,
  kLossesUseTheBudget,
  kNoRepeatGuard,
  kOneTokenForAll,
  kDoNotWaitForAnnouncements,
  kUncountedRefusal,
  kUnboundedQueue,
  kSilentGarbage,
  kForgetIds,
  kKeysUnheeded,
  kCutWithoutEnd,
  kOutboxesKeepEntries,
  kOutboxesForgotten,
  kCirclesStand,
  kPagesUnchecked,
  kRelayAnswersEarly,
  // worker::Protections
  kDoneBeforeCommit,
  kForgetCommits,
  kForgetDone,
  kAnnounceNothing,
  kForgetRelayed,
  kCommitBeforeJournal,
  // The store's side, planted by redis.cc
  kCommitWithoutFence,
  kCommitWithoutResult,
  kAppendWithoutEpoch,
  kAppendForgetsRepeats,
  kPostponeWithoutEpoch,
  kRestartForgetsLastWrites,
  kRedriveLosesLetters,
  kRowsOutsideTheFence,
};

struct MutationName {
  Mutation mutation;
  std::string_view name;
};
inline constexpr auto kMutations = std::to_array<MutationName>({
    {Mutation::kNone, "none"},
    {Mutation::kAcknowledgeBeforeJournal, "acknowledge_before_journal"},
    {Mutation::kForgetLeases, "forget_leases"},
    {Mutation::kLossesUseTheBudget, "losses_use_the_budget"},
    {Mutation::kNoRepeatGuard, "no_repeat_guard"},
    {Mutation::kOneTokenForAll, "one_token_for_all"},
    {Mutation::kDoNotWaitForAnnouncements, "do_not_wait_for_announcements"},
    {Mutation::kUncountedRefusal, "uncounted_refusal"},
    {Mutation::kUnboundedQueue, "unbounded_queue"},
    {Mutation::kSilentGarbage, "silent_garbage"},
    {Mutation::kForgetIds, "forget_ids"},
    {Mutation::kKeysUnheeded, "keys_unheeded"},
    {Mutation::kCutWithoutEnd, "cut_without_end"},
    {Mutation::kOutboxesKeepEntries, "outboxes_keep_entries"},
    {Mutation::kOutboxesForgotten, "outboxes_forgotten"},
    {Mutation::kCirclesStand, "circles_stand"},
    {Mutation::kPagesUnchecked, "pages_unchecked"},
    {Mutation::kRelayAnswersEarly, "relay_answers_early"},
    {Mutation::kDoneBeforeCommit, "done_before_commit"},
    {Mutation::kForgetCommits, "forget_commits"},
    {Mutation::kForgetDone, "forget_done"},
    {Mutation::kAnnounceNothing, "announce_nothing"},
    {Mutation::kForgetRelayed, "forget_relayed"},
    {Mutation::kCommitBeforeJournal, "commit_before_journal"},
    {Mutation::kCommitWithoutFence, "commit_without_fence"},
    {Mutation::kCommitWithoutResult, "commit_without_result"},
    {Mutation::kAppendWithoutEpoch, "append_without_epoch"},
    {Mutation::kAppendForgetsRepeats, "append_forgets_repeats"},
    {Mutation::kPostponeWithoutEpoch, "postpone_without_epoch"},
    {Mutation::kRestartForgetsLastWrites, "restart_forgets_last_writes"},
    {Mutation::kRedriveLosesLetters, "redrive_loses_letters"},
    {Mutation::kRowsOutsideTheFence, "rows_outside_the_fence"},
});

inline std::optional<Mutation> parse_mutation(std::string_view name) {
  for (const auto& known : kMutations) {
    if (known.name == name) return known.mutation;
  }
  return std::nullopt;
}
inline std::string_view to_string(Mutation mutation) {
  return kMutations[static_cast<std::size_t>(mutation)].name;
}

}  // namespace fanfare::simulation
