// POST /forms/{form}: what an HTML form, or a page's script, submits becomes an event.
//
// Type form.submitted, source /forms/{form}, data the form's fields as JSON. Files go to the form's
// bucket, and the event refers to them; they are in place before it is published, and are removed
// if it is not. Made for everybody: what keeps strangers in their bounds are the form's own limits.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "triggers/form_fields.h"
#include "triggers/form_upload.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"
#include "triggers/visits.h"

namespace fanfare::triggers {

struct FormDefinition {
  std::size_t bytes_max = 256u << 10;  // of a submission, without files
  std::uint32_t per_minute_max = 60;   // submissions of one address; 0 = no limit
  std::vector<std::string> origins;    // pages that may submit, "https://example.org"; none: all
  std::vector<std::string> next;       // where _next may lead: beginnings of addresses
  std::string honeypot = "_gotcha";    // a field that people leave empty
  std::string tenant;                  // of its events
  std::string bucket;                  // where files go; empty: there may be none
  std::size_t files_max = 10, file_bytes_max = 10u << 20, files_bytes_max = 50u << 20;
};

// Where the files of forms go, by the names of buckets. Each has threads of its own: those of one
// whose disk hangs are nobody else's.
struct FormBucket {
  std::shared_ptr<DiskThreads> disk;
  std::shared_ptr<UploadFolder> folder;
};
using FormFiles = std::map<std::string, FormBucket, std::less<>>;

struct FormCounters {
  std::uint64_t unknown = 0, wrong_origin = 0, too_many = 0, honeypot = 0, malformed = 0;
  FormUploadCounters files;
};

class FormRoute : public Route {
 public:
  // By name; "*" stands for all that have no definition.
  using Forms = std::map<std::string, FormDefinition, std::less<>>;

  FormRoute(Loop& loop, client::Client& client, PublishCounters& published, Forms forms,
            FormFiles files = {}, Duration disk_patience = std::chrono::seconds{30})
      : loop_(loop),
        client_(client),
        published_(published),
        forms_(std::move(forms)),
        files_(std::move(files)),
        disk_patience_(disk_patience) {}
  bool is_public() const override { return true; }
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;
  const FormCounters& counters() const { return counters_; }

 private:
  // With the name that it is defined under, which may be "*".
  const Forms::value_type* find(const Path& path) const;
  BodyPlan plan_upload(const HttpExchange& exchange, const FormDefinition& form);
  void take_upload(const std::shared_ptr<HttpExchange>& exchange, const FormDefinition& form,
                   const std::string& name, protocol::Event event);
  bool took_the_bait(const FormDefinition& form, const FormFields& fields) const;
  void accept(const std::shared_ptr<HttpExchange>& exchange, const FormDefinition& form,
              protocol::Event event, const FormFields& fields);
  std::shared_ptr<Timer> give_up_later(const std::weak_ptr<HttpExchange>& exchange,
                                       const FormDefinition& form);
  void refuse_submission(const std::shared_ptr<HttpExchange>& exchange, const FormDefinition& form,
                         HttpResponse response);

  Loop& loop_;
  client::Client& client_;
  PublishCounters& published_;
  const Forms forms_;
  const FormFiles files_;
  const Duration disk_patience_;  // while files are put into place; then 503
  Visits visits_;
  FormCounters counters_;
};

}  // namespace fanfare::triggers
