// fanfare-broker with switches (switches.h). Never installed.
#include <fmt/format.h>

#include <cstdlib>

#include "broker/daemon.h"
#include "tests/chaos/switches.h"

int main(int argc, char** argv) {
  using namespace fanfare;
  return broker::run_daemon(argc, argv, [](broker::Config& config) {
    broker::Protections& p = config.protections;
    const std::pair<std::string_view, bool*> names[] = {
        {"acknowledge_after_journal", &p.acknowledge_after_journal},
        {"take_back_from_lost_workers", &p.take_back_from_lost_workers},
        {"losses_spare_the_budget", &p.losses_spare_the_budget},
        {"repeat_guard", &p.repeat_guard},
        {"check_claims", &p.check_claims},
        {"cut_appends", &p.cut_appends},
        {"unique_tokens", &p.unique_tokens},
        {"wait_for_announcements", &p.wait_for_announcements},
        {"count_refusals", &p.count_refusals},
        {"bound_queues", &p.bound_queues},
        {"answer_garbage", &p.answer_garbage},
        {"keep_key_order", &p.keep_key_order},
        {"tenants_take_turns", &p.tenants_take_turns},
        {"end_before_cutting", &p.end_before_cutting},
        {"empty_outboxes", &p.empty_outboxes},
        {"look_at_outboxes", &p.look_at_outboxes},
        {"open_circles", &p.open_circles},
        {"answer_relays_after_redis", &p.answer_relays_after_redis},
        {"prove_office", &p.prove_office}};
    static_assert(sizeof(broker::Protections) == sizeof(bool) * std::size(names),
                  "one has no name");
    const char* const without = std::getenv(chaos::kWithoutVariable);
    const auto fine = chaos::switch_off(without ? without : "", names);
    auto failpoint = chaos::failpoint_from_environment();
    if (!fine || !failpoint) {
      fmt::print(stderr, "{}\n", (fine ? failpoint.error() : fine.error()).message);
      std::_Exit(2);
    }
    config.failpoint = *std::move(failpoint);
  });
}
