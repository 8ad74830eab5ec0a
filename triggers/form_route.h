// POST /forms/{form}: what an HTML form, or a page's script, submits becomes an event.
//
// Type form.submitted, source /forms/{form}, data the form's fields as JSON. Made for everybody:
// what keeps strangers in their bounds are the form's own limits.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "triggers/form_fields.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"
#include "triggers/visits.h"

namespace fanfare::triggers {

struct FormDefinition {
  std::size_t bytes_max = 256u << 10;  // of a submission
  std::uint32_t per_minute_max = 60;   // submissions of one address; 0 = no limit
  std::vector<std::string> origins;    // pages that may submit, "https://example.org"; none: all
  std::vector<std::string> next;       // where _next may lead: beginnings of addresses
  std::string honeypot = "_gotcha";    // a field that people leave empty
  std::string tenant;                  // of its events
};

struct FormCounters {
  std::uint64_t unknown = 0, wrong_origin = 0, too_many = 0, honeypot = 0, malformed = 0;
};

class FormRoute : public Route {
 public:
  // By name; "*" stands for all that have no definition.
  using Forms = std::map<std::string, FormDefinition, std::less<>>;

  FormRoute(Loop& loop, client::Client& client, PublishCounters& published, Forms forms)
      : loop_(loop), client_(client), published_(published), forms_(std::move(forms)) {}
  bool is_public() const override { return true; }
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;
  const FormCounters& counters() const { return counters_; }

 private:
  const FormDefinition* find(const Path& path) const;
  void accept(const std::shared_ptr<HttpExchange>& exchange, const FormDefinition& form,
              protocol::Event event, const FormFields& fields);

  Loop& loop_;
  client::Client& client_;
  PublishCounters& published_;
  const Forms forms_;
  Visits visits_;
  FormCounters counters_;
};

}  // namespace fanfare::triggers
