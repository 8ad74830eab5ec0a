#include "triggers/function_url.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <map>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "protocol/base64.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"
#include "triggers/access.h"
#include "triggers/form_fields.h"

namespace fanfare::triggers {
namespace {

using Json = nlohmann::ordered_json;

bool is_text(std::string_view content_type) {
  const std::string type = media_type(content_type);
  return type.starts_with("text/") || protocol::is_json_type(type) || type.ends_with("+xml") ||
         type == "application/xml" || type == "application/javascript";
}

std::string text_of(std::string_view bytes) {
  return protocol::to_utf8(bytes, bytes.size() * 3);
}

// Every request's payload is written by these, text by text: a tree of JSON made first takes as
// long as all else that is done with the request here.
void put_name(std::string& json, std::string_view name) {
  if (json.back() != '{') json += ',';
  protocol::append_json_string(json, name);
  json += ':';
}

void put_text(std::string& json, std::string_view name, std::string_view value) {
  put_name(json, name);
  if (is_utf8(value)) {
    protocol::append_json_string(json, value);
  } else {
    protocol::append_json_string(json, text_of(value));
  }
}

void put_texts(std::string& json, std::string_view name,
               const std::map<std::string, std::string>& values) {
  put_name(json, name);
  json += '{';
  for (const auto& [key, value] : values) put_text(json, key, value);
  json += '}';
}

// Several fields of one name are one, with commas between their values; cookies stand apart.
void put_headers(std::string& json, const HttpExchange& exchange,
                 const std::vector<std::string>& tokens) {
  std::string cookies;
  std::map<std::string, std::string> headers;
  for (const auto& [field, value] : exchange.headers()) {
    std::string name = lower_case(field);
    if (name == "x-fanfare-token") continue;
    if (name == "authorization" && has_token(tokens, value)) continue;
    if (name == "cookie") {
      for (std::string_view rest = value; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        if (!cookies.empty()) cookies += ',';
        protocol::append_json_string(
            cookies, text_of(one.substr(std::min(one.find_first_not_of(' '), one.size()))));
      }
      continue;
    }
    std::string& all = headers[std::move(name)];
    if (!all.empty()) all += ',';
    all += value;
  }
  if (!cookies.empty()) {
    put_name(json, "cookies");
    json += '[' + cookies + ']';
  }
  put_texts(json, "headers", headers);
}

void put_query(std::string& json, std::string_view query) {
  put_text(json, "rawQueryString", query);
  const auto fields = urlencoded_fields(query);
  if (!fields || fields->empty()) return;
  std::map<std::string, std::string> parameters;
  for (const auto& [name, value] : *fields) {
    const auto [place, added] = parameters.emplace(name, value);
    if (!added) place->second += "," + value;
  }
  put_texts(json, "queryStringParameters", parameters);
}

void put_context(std::string& json, const HttpExchange& exchange, const std::string& function,
                 const std::string& path, const std::string& request_id, WallTime now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  put_name(json, "requestContext");
  json += '{';
  put_text(json, "accountId", "anonymous");
  put_text(json, "apiId", function);
  put_text(json, "domainName", exchange.header("Host"));
  put_text(json, "domainPrefix", function);
  put_name(json, "http");
  json += '{';
  put_text(json, "method", exchange.method());
  put_text(json, "path", path);
  put_text(json, "protocol", "HTTP/1.1");
  put_text(json, "sourceIp", exchange.peer().address);
  put_text(json, "userAgent", exchange.header("User-Agent"));
  json += '}';
  put_text(json, "requestId", request_id);
  put_text(json, "routeKey", "$default");
  put_text(json, "stage", "$default");
  put_text(
      json, "time",
      fmt::format("{:%d/%b/%Y:%H:%M:%S} +0000", fmt::gmtime(static_cast<std::time_t>(seconds))));
  put_name(json, "timeEpoch");
  json += std::to_string(to_ms(now));
  json += '}';
}

bool is_field_name(const std::string& name) {
  return !name.empty() && name.find_first_not_of(
                              "!#$%&'*+-.^_`|~0123456789"
                              "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == name.npos;
}

// The server's own, and those that would say where the response ends.
bool is_reserved(const std::string& name) {
  const std::string known = lower_case(name);
  return known == "content-length" || known == "transfer-encoding" || known == "connection" ||
         known == "date" || known == "keep-alive" || known == "upgrade" || known == "trailer";
}

Result<void> put_header(HttpResponse& response, const std::string& name, const Json& value) {
  if (!value.is_primitive() || value.is_null()) return reject("a header's value is a text");
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (!is_field_name(name) || text.find_first_of(std::string_view{"\r\n\0", 3}) != text.npos) {
    return reject("a header's name or value cannot be sent");
  }
  if (!is_reserved(name)) response.headers.push_back({name, std::move(text)});
  return {};
}

Result<HttpResponse> shaped(const Json& answer) {
  HttpResponse response;
  const Json& status = answer["statusCode"];
  std::int64_t number = 0;
  if (status.is_number_integer()) number = status.get<std::int64_t>();
  if (number < 200 || number > 599) return reject("statusCode is a number from 200 to 599");
  response.status = static_cast<unsigned>(number);
  bool typed = false;
  if (const auto headers = answer.find("headers"); headers != answer.end() && !headers->is_null()) {
    if (!headers->is_object()) return reject("headers is an object");
    for (const auto& [name, value] : headers->items()) {
      typed = typed || lower_case(name) == "content-type";
      if (const auto put = put_header(response, name, value); !put) return put.error();
    }
  }
  if (const auto cookies = answer.find("cookies"); cookies != answer.end() && cookies->is_array()) {
    for (const Json& cookie : *cookies) {
      if (const auto put = put_header(response, "Set-Cookie", cookie); !put) return put.error();
    }
  }
  if (!typed) response.headers.push_back({"Content-Type", "application/json"});
  const auto body = answer.find("body");
  if (body == answer.end() || body->is_null()) return response;
  if (!body->is_string()) {
    response.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
    return response;
  }
  response.body = body->get<std::string>();
  const auto encoded = answer.find("isBase64Encoded");
  if (encoded == answer.end() || *encoded != true) return response;
  auto bytes = protocol::from_base64(response.body);
  if (!bytes) return reject("body is not base64");
  response.body = *std::move(bytes);
  return response;
}

}  // namespace

std::string to_payload(const HttpExchange& exchange, const std::vector<std::string>& tokens,
                       const std::string& function, const std::string& path,
                       const std::string& request_id, WallTime now) {
  std::string json = "{";
  put_text(json, "version", "2.0");
  put_text(json, "routeKey", "$default");
  put_text(json, "rawPath", path);
  put_query(json, query_of(exchange.target()));
  put_headers(json, exchange, tokens);
  put_context(json, exchange, function, path, request_id, now);
  const std::string_view body = exchange.body();
  const bool text = body.empty() || (is_text(exchange.header("Content-Type")) && is_utf8(body));
  if (!body.empty() && text) put_text(json, "body", body);
  if (!text) put_text(json, "body", protocol::to_base64(body));
  put_name(json, "isBase64Encoded");
  json += text ? "false}" : "true}";
  return json;
}

Result<HttpResponse> from_output(const protocol::ResultRecord& record) {
  if (protocol::is_json_type(record.content_type) && protocol::nests_within_bounds(record.output)) {
    const Json answer = Json::parse(record.output, nullptr, false);
    if (answer.is_object() && answer.contains("statusCode")) return shaped(answer);
  }
  HttpResponse response{.status = 200, .headers = {}, .body = record.output};
  response.headers.push_back({"Content-Type", record.content_type.empty()
                                                  ? "application/octet-stream"
                                                  : record.content_type});
  return response;
}

}  // namespace fanfare::triggers
