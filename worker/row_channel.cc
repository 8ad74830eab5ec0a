#include "worker/row_channel.h"

#include <cstring>
#include <type_traits>

#include "worker/answer_fields.h"
#include "worker/channel.h"

namespace fanfare::worker {
namespace {

struct RequestHead {
  Doorbell bell;
  RowRequest::Kind kind = RowRequest::Kind::kGet;
  std::uint32_t rows_max = 0;
  std::uint32_t key_size = 0;
  std::uint32_t after_size = 0;
};
static_assert(std::is_trivially_copyable_v<RequestHead>);
static_assert(sizeof(RequestHead) + 2 * protocol::kRowKeyMax <= kInstanceMessageMax);

}  // namespace

std::string encode(const RowRequest& request) {
  const RequestHead head{
      .bell = {.kind = Doorbell::Kind::kReadRows, .item = 0, .batch = request.number},
      .kind = request.kind,
      .rows_max = request.rows_max,
      .key_size = static_cast<std::uint32_t>(request.key.size()),
      .after_size = static_cast<std::uint32_t>(request.after.size())};
  std::string message;
  append_number(message, head);
  return message.append(request.key).append(request.after);
}

Result<RowRequest> decode_row_request(std::string_view message) {
  const auto strange = [] { return reject("the instance asked for rows in a strange way"); };
  RequestHead head;
  if (message.size() < sizeof head) return strange();
  std::memcpy(&head, message.data(), sizeof head);
  message.remove_prefix(sizeof head);
  const bool known = head.kind == RowRequest::Kind::kGet || head.kind == RowRequest::Kind::kList;
  if (!known || head.key_size > message.size() ||
      head.after_size != message.size() - head.key_size) {
    return strange();
  }
  return RowRequest{.number = head.bell.batch,
                    .kind = head.kind,
                    .rows_max = head.rows_max,
                    .key = std::string{message.substr(0, head.key_size)},
                    .after = std::string{message.substr(head.key_size)}};
}

std::string encode_rows(const Result<store::Rows>& answer) {
  std::string bytes;
  append_number(bytes, static_cast<std::uint32_t>(answer.has_value()));
  if (!answer) {
    append_text(bytes, answer.error().message);
    return bytes;
  }
  append_number(bytes, static_cast<std::uint32_t>(answer->rows.size()));
  append_text(bytes, answer->next);
  for (const store::StoredRow& row : answer->rows) {
    append_number(bytes, row.expires_ms);
    append_text(bytes, row.key);
    append_text(bytes, row.value);
  }
  return bytes;
}

Result<store::Rows> decode_rows(std::string_view bytes) {
  AnswerReader reader(bytes);
  if (reader.number<std::uint32_t>() == 0) {
    std::string why = reader.text();
    return reject(reader.ok() ? std::move(why) : "the worker's answer was cut off");
  }
  store::Rows rows;
  const auto count = reader.number<std::uint32_t>();
  rows.next = reader.text();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    store::StoredRow row;
    row.expires_ms = reader.number<std::int64_t>();
    row.key = reader.text();
    row.value = reader.text();
    rows.rows.push_back(std::move(row));
  }
  if (!reader.at_end()) return reject("the worker's answer was cut off");
  return rows;
}

}  // namespace fanfare::worker
