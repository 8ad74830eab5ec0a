#include "triggers/form_route.h"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/size.h"
#include "protocol/ids.h"
#include "protocol/json_text.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

constexpr std::string_view kUrlencoded = "application/x-www-form-urlencoded";
constexpr std::string_view kMultipart = "multipart/form-data";
constexpr std::string_view kJson = "application/json";
constexpr std::size_t kNameBytesMax = 64;               // of a form
constexpr std::size_t kPartHeadsBytesMax = 256u << 10;  // of all parts, with their boundaries

bool may_submit(const FormDefinition& form, std::string_view origin) {
  if (form.origins.empty() || origin.empty()) return true;
  return std::ranges::any_of(form.origins,
                             [&](const std::string& one) { return one == "*" || one == origin; });
}

// The Fetch standard, section 3.2: pages may read the response if they are named.
void allow_origin(const FormDefinition& form, const HttpExchange& exchange,
                  HttpResponse& response) {
  const std::string_view origin = exchange.header("Origin");
  if (origin.empty() || form.origins.empty()) return;
  response.headers.push_back({"Access-Control-Allow-Origin", std::string{origin}});
  response.headers.push_back({"Vary", "Origin"});
}

// A name of one path segment for any name of a form.
std::string folder_of(const std::string& form) {
  return protocol::is_function_name(form) ? form : "_" + sha256_hex(form).substr(0, 32);
}

FormUpload& upload_of(const HttpExchange& exchange) {
  return static_cast<FormUpload&>(*exchange.sink());
}

HttpResponse preflight(const FormDefinition& form, const HttpExchange& exchange) {
  HttpResponse response{.status = 204, .headers = {{"Allow", "POST, OPTIONS"}}, .body = {}};
  allow_origin(form, exchange, response);
  response.headers.push_back({"Access-Control-Allow-Methods", "POST"});
  response.headers.push_back({"Access-Control-Allow-Headers", "Content-Type, Idempotency-Key"});
  response.headers.push_back({"Access-Control-Max-Age", "3600"});
  return response;
}

// The texts of a JSON object's members, for those that steer the gateway.
Result<FormFields> json_fields(std::string_view body, const std::string& honeypot,
                               std::string& data) {
  using Json = nlohmann::ordered_json;
  Json json = protocol::nests_within_bounds(body) ? Json::parse(body, nullptr, false)
                                                  : Json(Json::value_t::discarded);
  if (json.is_discarded()) return reject("the body is not JSON: " + protocol::json_fault(body));
  if (!json.is_object()) return reject("a form's JSON is an object of its fields");
  FormFields fields;
  for (auto member = json.begin(); member != json.end();) {
    if (!member.key().starts_with('_') && member.key() != honeypot) {
      ++member;
      continue;
    }
    const bool empty = member->is_null() || member->empty();
    fields.emplace_back(member.key(), member->is_string() ? member->get<std::string>()
                                      : empty             ? ""
                                                          : member->dump());
    member = json.erase(member);
  }
  data = fields.empty() ? std::string{body} : json.dump();
  return fields;
}

// What `curl -d '{"a": 1}'` sends. Browsers write such names with escapes.
Result<FormFields> urlencoded_or_mistaken(std::string_view body) {
  if (body.starts_with('{') && protocol::nests_within_bounds(body) &&
      nlohmann::json::accept(body)) {
    return reject(
        "the body is JSON, but its Content-Type is that of HTML forms, as curl says of whatever it "
        "sends: send Content-Type: application/json");
  }
  return urlencoded_fields(body);
}

// Of IPv6 the network of one household or machine: it has more addresses than can be counted.
std::string visitor_of(const HttpPeer& peer) {
  if (peer.address.find(':') == peer.address.npos) return peer.address;
  std::size_t end = 0;
  for (int groups = 0; groups < 4 && end != peer.address.npos; ++groups) {
    end = peer.address.find(':', end == 0 ? 0 : end + 1);
  }
  return peer.address.substr(0, end);
}

// A person's browser shows what comes back.
bool wants_page(const HttpExchange& exchange) {
  return exchange.header("Accept").find("text/html") != std::string_view::npos;
}

HttpResponse thanks() {
  return {.status = 202,
          .headers = {{"Content-Type", "text/html; charset=utf-8"}},
          .body =
              "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sent</title>"
              "<p>Thank you. Your message has been sent.</p></html>\n"};
}

}  // namespace

const FormRoute::Forms::value_type* FormRoute::find(const Path& path) const {
  if (path.size() != 2 || path[1].empty() || path[1].size() > kNameBytesMax) return nullptr;
  auto form = forms_.find(path[1]);
  if (form == forms_.end()) form = forms_.find("*");
  return form == forms_.end() ? nullptr : &*form;
}

BodyPlan FormRoute::plan(const HttpExchange& exchange, const Path& path) {
  const auto* const found = find(path);
  if (!found) {
    ++counters_.unknown;
    return refuse(problem(
        404, path.size() == 2 ? "there is no such form; [forms.NAME] of triggers.toml makes one"
                              : "forms are sent to /forms/FORM"));
  }
  const FormDefinition* const form = &found->second;
  if (!may_submit(*form, exchange.header("Origin"))) {
    ++counters_.wrong_origin;
    return refuse(
        problem(403,
                "pages of this origin may not submit this form; origins in its definition in "
                "triggers.toml names those that may"));
  }
  if (exchange.method() == "OPTIONS") return refuse(preflight(*form, exchange));
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST, OPTIONS"));
  // By the definition: else whoever thinks of another name could come again at once.
  if (form->per_minute_max > 0 && !visits_.admit(found->first + " " + visitor_of(exchange.peer()),
                                                 form->per_minute_max, loop_.now().steady)) {
    ++counters_.too_many;
    HttpResponse response = problem(429, "too many submissions; try again in a minute");
    response.headers.push_back({"Retry-After", "60"});
    allow_origin(*form, exchange, response);
    return refuse(std::move(response));
  }
  const std::string type = media_type(exchange.header("Content-Type"));
  if (type == kMultipart) return plan_upload(exchange, *form);
  if (type != kUrlencoded && type != kJson) {
    ++counters_.malformed;
    HttpResponse response = problem(
        415,
        "a form is application/x-www-form-urlencoded, multipart/form-data or application/json");
    allow_origin(*form, exchange, response);
    return refuse(std::move(response));
  }
  BodyPlan plan;
  plan.bytes_max = form->bytes_max;
  plan.too_long = [form, &exchange] {
    HttpResponse response =
        problem(413, fmt::format("a submission of this form may have {} (max_bytes)",
                                 format_size(form->bytes_max)));
    allow_origin(*form, exchange, response);
    return response;
  };
  return plan;
}

BodyPlan FormRoute::plan_upload(const HttpExchange& exchange, const FormDefinition& form) {
  HttpResponse with_origin;
  allow_origin(form, exchange, with_origin);
  const auto boundary = multipart_boundary(exchange.header("Content-Type"));
  if (!boundary) {
    ++counters_.malformed;
    HttpResponse response = problem_of(boundary.error());
    allow_origin(form, exchange, response);
    return refuse(std::move(response));
  }
  const auto bucket = files_.find(form.bucket);
  const bool takes_files = bucket != files_.end();
  const FormUploadLimits limits{.text_bytes_max = form.bytes_max,
                                .files_max = form.files_max,
                                .file_bytes_max = form.file_bytes_max,
                                .files_bytes_max = form.files_bytes_max};
  auto sink = std::make_unique<FormUpload>(
      *boundary, limits,
      takes_files ? std::make_unique<Upload>(bucket->second.disk, bucket->second.folder) : nullptr,
      counters_.files, std::move(with_origin.headers), form.honeypot);
  return {
      .bytes_max = form.bytes_max + kPartHeadsBytesMax + (takes_files ? form.files_bytes_max : 0),
      .too_long = {},
      .sink = std::move(sink),
      .refusal = {}};
}

void FormRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) {
  const FormDefinition& form = find(path)->second;
  protocol::Event event;
  event.type = "form.submitted";
  event.source = "/forms/" + path[1];
  event.content_type = "application/json";
  event.options.tenant = form.tenant;
  // Strangers' keys are apart from everybody else's.
  if (const auto key = exchange->header("Idempotency-Key"); !key.empty()) {
    event.options.idempotency_key = event.source + " " + std::string{key};
  }
  const std::string type = media_type(exchange->header("Content-Type"));
  if (type == kMultipart) return take_upload(exchange, form, path[1], std::move(event));
  const bool urlencoded = type == kUrlencoded;
  const auto fields = urlencoded ? urlencoded_or_mistaken(exchange->body())
                                 : json_fields(exchange->body(), form.honeypot, event.data);
  if (!fields) return refuse_submission(exchange, form, problem_of(fields.error()));
  if (urlencoded) event.data = to_json(*fields, form.honeypot);
  accept(exchange, form, std::move(event), *fields);
}

// While the disk works the request is its connection's alone: a client that leaves takes its files
// with it.
void FormRoute::take_upload(const std::shared_ptr<HttpExchange>& exchange,
                            const FormDefinition& form, const std::string& name,
                            protocol::Event event) {
  FormUpload& received = upload_of(*exchange);
  if (took_the_bait(form, received.fields())) {
    return accept(exchange, form, std::move(event), received.fields());
  }
  const std::string repeat_key = event.options.idempotency_key;
  received.finish(
      folder_of(name), repeat_key,
      [this, &form, weak = std::weak_ptr(exchange), timer = give_up_later(exchange, form),
       event = std::move(event)](FormUpload::Outcome outcome) mutable {
        timer->stop();
        const auto request = weak.lock();
        if (!request) return;
        if (outcome.refusal) {
          return refuse_submission(request, form, *std::move(outcome.refusal));
        }
        FormUpload& upload = upload_of(*request);
        event.data = to_json(upload.fields(), form.honeypot, outcome.references);
        upload.keep_files(true);
        accept(request, form, std::move(event), upload.fields());
      });
}

// Of a disk that does not answer. The answer ends the request, and with it what keeps this timer:
// so it is not given from within.
std::shared_ptr<Timer> FormRoute::give_up_later(const std::weak_ptr<HttpExchange>& exchange,
                                                const FormDefinition& form) {
  const auto itself = std::make_shared<std::weak_ptr<Timer>>();
  auto timer = std::make_shared<Timer>(loop_, [this, exchange, &form, itself] {
    loop_.post([this, exchange, &form, itself] {
      const auto request = exchange.lock();
      if (!request || itself->expired()) return;  // it was put into place meanwhile
      ++counters_.files.disk;
      HttpResponse response = problem(503, "files cannot be stored at present");
      response.headers.push_back({"Retry-After", "30"});
      refuse_submission(request, form, std::move(response));
    });
  });
  *itself = timer;
  timer->start_after(disk_patience_);
  return timer;
}

void FormRoute::refuse_submission(const std::shared_ptr<HttpExchange>& exchange,
                                  const FormDefinition& form, HttpResponse response) {
  if (response.status == 400) ++counters_.malformed;
  allow_origin(form, *exchange, response);
  exchange->respond(std::move(response));
}

bool FormRoute::took_the_bait(const FormDefinition& form, const FormFields& fields) const {
  const std::string* const bait = find_field(fields, form.honeypot);
  return bait && !bait->empty();
}

void FormRoute::accept(const std::shared_ptr<HttpExchange>& exchange, const FormDefinition& form,
                       protocol::Event event, const FormFields& fields) {
  std::string next;
  if (const std::string* const wanted = find_field(fields, "_next")) {
    const bool allowed = std::ranges::any_of(
        form.next, [&](const std::string& beginning) { return wanted->starts_with(beginning); });
    const bool printable = std::ranges::none_of(*wanted, [](char byte) {
      return static_cast<unsigned char>(byte) <= 0x20 || byte == 0x7f;
    });
    if (allowed && printable) next = *wanted;
  }
  auto accepted = [&form, exchange, next](const client::Receipt& receipt) {
    HttpResponse response{.status = 202,
                          .headers = {{"Content-Type", "application/json"}},
                          .body = to_json(receipt) + "\n"};
    if (!next.empty()) {
      response = {.status = 303, .headers = {{"Location", next}}, .body = {}};
    } else if (wants_page(*exchange)) {
      response = thanks();
    }
    allow_origin(form, *exchange, response);
    return response;
  };
  if (took_the_bait(form, fields)) {
    ++counters_.honeypot;  // and whoever fills it in is none the wiser
    static const auto kNobody = std::make_shared<const std::vector<std::string>>();
    const auto now_ms = static_cast<std::uint64_t>(to_ms(loop_.now().wall));
    return exchange->respond(accepted({.id = {{now_ms, 0}, 0}, .functions = kNobody}));
  }
  Heard heard;
  if (exchange->sink()) {
    heard = [exchange](const Result<client::Receipt>& receipt) {
      // Files of an event that somebody may get stay.
      upload_of(*exchange).keep_files(receipt || client::may_be_published(receipt.error()));
    };
  }
  publish_one(client_, published_, exchange, std::move(event), std::move(accepted),
              std::move(heard));
}

}  // namespace fanfare::triggers
