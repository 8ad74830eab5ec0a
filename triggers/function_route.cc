#include "triggers/function_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "protocol/ids.h"
#include "triggers/function_url.h"
#include "triggers/problem.h"
#include "triggers/publishing.h"

namespace fanfare::triggers {
namespace {

constexpr Duration kWaitMax = std::chrono::minutes{15};

// Of "Prefer: wait=10": how long at most.
std::optional<Duration> preferred_wait(const HttpExchange& exchange) {
  const std::string_view prefer = exchange.header("Prefer");
  const std::size_t at = prefer.find("wait=");
  if (at == prefer.npos) return std::nullopt;
  std::uint32_t seconds = 0;
  std::from_chars(prefer.data() + at + 5, prefer.data() + prefer.size(), seconds);
  return std::clamp<Duration>(std::chrono::seconds{seconds}, std::chrono::milliseconds{1},
                              kWaitMax);
}

// Below the function's name, as it came.
std::string rest_of(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  path.remove_prefix(std::min(path.find('/', 1), path.size()));
  path.remove_prefix(std::min(path.find('/', 1), path.size()));
  return path.empty() ? "/" : std::string{path};
}

bool is_allowed(const UrlDefinition& url, std::string_view origin) {
  return std::ranges::any_of(url.origins,
                             [&](const std::string& one) { return one == "*" || one == origin; });
}

void allow_origin(const UrlDefinition& url, const HttpExchange& exchange, HttpResponse& response) {
  const std::string_view origin = exchange.header("Origin");
  if (origin.empty() || !is_allowed(url, origin)) return;
  // Two of them make a browser refuse both.
  std::erase_if(response.headers, [](const HttpHeader& header) {
    return header.name.size() == 27 && (header.name[0] | 0x20) == 'a' &&
           header.name.ends_with("-Origin");
  });
  response.headers.push_back({"Access-Control-Allow-Origin", std::string{origin}});
  response.headers.push_back({"Vary", "Origin"});
}

bool is_preflight(const UrlDefinition& url, const HttpExchange& exchange) {
  return exchange.method() == "OPTIONS" && !url.origins.empty() &&
         !exchange.header("Access-Control-Request-Method").empty();
}

HttpResponse preflight(const UrlDefinition& url, const HttpExchange& exchange) {
  HttpResponse response{.status = 204, .headers = {}, .body = {}};
  allow_origin(url, exchange, response);
  for (const auto& [asked, granted] :
       {std::pair{"Access-Control-Request-Method", "Access-Control-Allow-Methods"},
        std::pair{"Access-Control-Request-Headers", "Access-Control-Allow-Headers"}}) {
    if (const auto value = exchange.header(asked); !value.empty()) {
      response.headers.push_back({granted, std::string{value}});
    }
  }
  return response;
}

}  // namespace

FunctionRoute::FunctionRoute(Loop& loop, client::Client& client, AccessOptions access, Urls urls,
                             std::size_t body_bytes_max)
    : loop_(loop),
      client_(client),
      access_(std::move(access)),
      urls_(std::move(urls)),
      body_bytes_max_(body_bytes_max),
      run_(client::new_client_id()) {}

const UrlDefinition& FunctionRoute::definition_of(const std::string& function) const {
  static const UrlDefinition kDefault;
  auto url = urls_.find(function);
  if (url == urls_.end()) url = urls_.find("*");
  return url == urls_.end() ? kDefault : url->second;
}

BodyPlan FunctionRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() < 2 || !protocol::is_function_name(path[1])) {
    return refuse(problem(404, "functions are at /functions/NAME"));
  }
  const UrlDefinition& url = definition_of(path[1]);
  if (is_preflight(url, exchange)) return refuse(preflight(url, exchange));
  const bool by_page = is_allowed(url, exchange.header("Origin"));
  if (!url.is_public) {
    if (auto refusal = refusal_of(access_, exchange);
        refusal && !(by_page && refusal->status == 403)) {
      ++counters_.refused;
      return refuse(*std::move(refusal));
    }
  }
  return take_up_to(body_bytes_max_);
}

void FunctionRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) {
  const std::string& function = path[1];
  protocol::Event event;
  event.type = "function.invoked";
  event.source = "/urls/" + function;
  event.content_type = "application/json";
  event.data = to_payload(*exchange, access_.tokens, function, rest_of(exchange->target()),
                          fmt::format("{}-{}", run_, ++requests_), loop_.now().wall);
  inherit_trace(*exchange, event);
  const auto wait = preferred_wait(*exchange);
  client_.invoke(function, event, wait.value_or(kWaitMax),
                 [this, exchange, function,
                  asked = wait.has_value()](const Result<protocol::ResultRecord>& record) {
                   answer(exchange, function, asked, record);
                 });
}

void FunctionRoute::answer(const std::shared_ptr<HttpExchange>& exchange,
                           const std::string& function, bool asked_not_to_wait,
                           const Result<protocol::ResultRecord>& record) {
  Result<HttpResponse> response = problem(502, "the function failed");
  if (!record) {
    const std::string_view message = record.error().message;
    ++counters_.refused;
    if (message.starts_with("no_such_function")) {
      response = problem(404, fmt::format("there is no function {}; `fanfare functions list` names "
                                          "those that there are",
                                          function));
    } else if (message.starts_with("timeout") && asked_not_to_wait) {
      response = problem(429, "no answer in the time that the request prefers to wait");
      response->headers.push_back({"Retry-After", "1"});
    } else if (message.starts_with("timeout")) {
      response = problem(504, message);
    } else {
      response = problem_of(record.error());
      if (response->status == 429 && !asked_not_to_wait) response->status = 503;
    }
  } else if (record->status != protocol::Status::kSucceeded) {
    ++counters_.failed;
    response = problem(502, fmt::format("the function failed: {}", record->error_type));
  } else if (response = from_output(*record); !response) {
    ++counters_.failed;
    response =
        problem(502, "what the function returned is no response: " + response.error().message);
  } else {
    ++counters_.answered;
  }
  allow_origin(definition_of(function), *exchange, *response);
  exchange->respond(*std::move(response));
}

}  // namespace fanfare::triggers
