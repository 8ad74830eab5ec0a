// What the gateway tells Prometheus; docs/metrics.md explains each name.
#include "base/daemon_metrics.h"
#include "triggers/shell.h"
#include "triggers/topic_route.h"

namespace fanfare::triggers {
namespace {

void tell_http(MetricsText& text, const HttpServer& server) {
  const HttpServerCounters& http = server.counters();
  text.gauge("fanfare_triggers_connections", "Open connections.").add({}, server.connections());
  text.gauge("fanfare_triggers_body_bytes", "Bytes of requests' bodies in memory.")
      .add({}, server.bodies_bytes());
  text.counter("fanfare_triggers_connections_total", "Connections, by what became of them.")
      .add({{"state", "accepted"}}, http.connections_accepted)
      .add({{"state", "refused"}}, http.connections_refused);
}

void tell_requests(MetricsText& text, const HttpServerCounters& http, const Gateway& gateway) {
  auto answered =
      text.counter("fanfare_triggers_requests_total", "Requests answered, by route and status.");
  for (const auto& [route, measures] : gateway.measures()) {
    for (const auto& [status, count] : measures.by_status) {
      answered.add({{"route", route}, {"status", std::to_string(status)}}, count);
    }
  }
  auto times = text.histogram("fanfare_triggers_request_seconds",
                              "Of requests: from their first byte until they are answered.");
  for (const auto& [route, measures] : gateway.measures()) {
    times.add({{"route", route}}, measures.time);
  }
  text.counter("fanfare_triggers_requests_refused_total",
               "Requests that no route has handled, by reason.")
      .add({{"reason", "malformed"}}, http.malformed)
      .add({{"reason", "too_large"}}, http.too_large)
      .add({{"reason", "stalled"}}, http.stalled)
      .add({{"reason", "too_slow"}}, http.too_slow)
      .add({{"reason", "no_memory"}}, http.no_memory)
      .add({{"reason", "unknown_path"}}, gateway.counters().unknown_path)
      .add({{"reason", "unauthorised"}}, gateway.counters().unauthorised);
}

void tell_forms(MetricsText& text, const FormCounters& forms) {
  text.counter("fanfare_triggers_forms_refused_total",
               "Submissions of forms that were not published, by reason.")
      .add({{"reason", "unknown"}}, forms.unknown)
      .add({{"reason", "wrong_origin"}}, forms.wrong_origin)
      .add({{"reason", "too_many"}}, forms.too_many)
      .add({{"reason", "honeypot"}}, forms.honeypot)
      .add({{"reason", "malformed"}}, forms.malformed + forms.files.malformed)
      .add({{"reason", "unwanted_file"}}, forms.files.unwanted)
      .add({{"reason", "too_large"}}, forms.files.too_large)
      .add({{"reason", "disk"}}, forms.files.disk);
  text.counter("fanfare_triggers_form_files_total",
               "Files of forms that were put into their buckets.")
      .add({}, forms.files.files);
  text.counter("fanfare_triggers_form_file_bytes_total",
               "Bytes of files of forms that were put into their buckets.")
      .add({}, forms.files.bytes);
}

void tell_schedules(MetricsText& text, const Scheduler& scheduler) {
  const ScheduleTable::Counters& c = scheduler.counters();
  text.gauge("fanfare_triggers_schedules", "Schedules, by whether they can be read.")
      .add({{"state", "known"}}, scheduler.schedules())
      .add({{"state", "unreadable"}}, scheduler.unreadable());
  text.gauge("fanfare_triggers_schedules_ready", "1 while schedules can fire: Redis answers.")
      .add({}, scheduler.ready() ? 1 : 0);
  text.counter("fanfare_triggers_schedules_fired_total",
               "Instants of schedules, by who fired them.")
      .add({{"by", "this"}}, c.fired)
      .add({{"by", "another"}}, c.beaten);
  text.counter("fanfare_triggers_schedules_passed_over_total",
               "Instants of schedules that did not fire, by reason.")
      .add({{"reason", "missed"}}, c.missed)
      .add({{"reason", "overlap"}}, c.overlapped);
  text.counter("fanfare_triggers_schedules_failed_total",
               "Fires that Redis did not take; tried again.")
      .add({}, c.failed);
  text.histogram("fanfare_triggers_schedule_lag_seconds",
                 "Of fires: from when they were due until they are in Redis.")
      .add({}, scheduler.lag());
}

}  // namespace

std::string Shell::metrics() const {
  MetricsText text;
  tell_daemon(text, "triggers", ready());
  tell_http(text, *server_);
  tell_requests(text, server_->counters(), gateway_);
  auto events = text.counter("fanfare_triggers_events_total",
                             "Events of requests, by trigger and what became of them.");
  for (const auto& [trigger, counts] : published_) {
    events.add({{"trigger", trigger}, {"result", "accepted"}}, counts.accepted)
        .add({{"trigger", trigger}, {"result", "duplicate"}}, counts.duplicate)
        .add({{"trigger", trigger}, {"result", "refused"}}, counts.refused);
  }
  tell_forms(text, *forms_);
  text.counter("fanfare_triggers_urls_total",
               "Requests to functions' URLs, by what became of them.")
      .add({{"result", "answered"}}, urls_->answered)
      .add({{"result", "failed"}}, urls_->failed)
      .add({{"result", "refused"}}, urls_->refused);
  text.counter("fanfare_triggers_webhooks_refused_total",
               "Webhooks that were not published, by reason.")
      .add({{"reason", "unknown"}}, webhooks_->unknown)
      .add({{"reason", "not_signed"}}, webhooks_->unsigned_);
  text.counter("fanfare_triggers_topics_refused_total",
               "Requests to topics that were not published, by reason.")
      .add({{"reason", "unknown"}}, topics_->unknown)
      .add({{"reason", "malformed"}}, topics_->malformed)
      .add({{"reason", "confirmation"}}, topics_->confirmations);
  if (storage_) tell_storage(text, storage_->status());
  tell_schedules(text, *scheduler_);
  return text.take();
}

}  // namespace fanfare::triggers
