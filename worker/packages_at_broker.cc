#include <utility>

#include "protocol/package.h"
#include "worker/package_source.h"

namespace fanfare::worker {
void PackagesAtBroker::fetch(const std::string& digest, Done done) {
  ask(std::make_shared<Fetch>(Fetch{digest, std::move(done), {}}));
}

void PackagesAtBroker::ask(std::shared_ptr<Fetch> fetch) {
  protocol::FetchPackage question{.digest = fetch->digest, .offset = fetch->bytes.size()};
  relay_.ask(
      std::move(question),
      [this, fetch = std::move(fetch)](Result<protocol::Message> answer) mutable {
        take(std::move(fetch), std::move(answer));
      },
      Relay::Later::kAskAgain);
}

void PackagesAtBroker::take(std::shared_ptr<Fetch> fetch, Result<protocol::Message> answer) {
  if (!answer) return fetch->done(answer.error());
  const auto* const part = std::get_if<protocol::PackagePart>(&*answer);
  const bool fits = part && part->size <= protocol::kPackedPackageMax &&
                    fetch->bytes.size() + part->bytes.size() <= part->size &&
                    (!part->bytes.empty() || part->size == fetch->bytes.size());
  if (!fits) return fetch->done(reject("the broker sent a part that is not of this package"));
  fetch->bytes += part->bytes;
  if (fetch->bytes.size() < part->size) return ask(std::move(fetch));
  fetch->done(std::move(fetch->bytes));
}

}  // namespace fanfare::worker
