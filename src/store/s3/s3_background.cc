// Reads and writes objects in S3 while the scheduler's loop continues.
#include <algorithm>
#include <utility>

#include "store/s3/s3_storage.h"

namespace metaflow::store {

/// Has its own connections, so a blocking call of the storage does not wait for these requests, and none of their
/// callbacks runs during such a call.
class S3Storage::Background : public BackgroundStorage {
 public:
  Background(S3Storage& storage, base::EventLoop& loop) : transfers_(storage.transfers_, options_of(storage)) {
    transfers_.client().attach(loop);
  }

  void get(std::vector<std::string> paths, Got done) override {
    if (paths.empty()) return done({});
    struct Gathered {
      std::vector<std::optional<base::SharedBytes>> contents;
      std::size_t left;
      Got done;
    };
    const auto gathered = std::make_shared<Gathered>(Gathered{{}, paths.size(), std::move(done)});
    gathered->contents.resize(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
      transfers_.start_download(paths[i], [gathered, i](std::optional<base::SharedBytes>&& content) {
        gathered->contents[i] = std::move(content);
        if (--gathered->left == 0) gathered->done(std::move(gathered->contents));
      });
    }
  }

  /// Marks and logs: one request each, whatever the size.
  void put(std::vector<OwnedObject> objects, Put done) override {
    if (objects.empty()) return done();
    const auto gathered = std::make_shared<std::pair<std::size_t, Put>>(objects.size(), std::move(done));
    for (OwnedObject& object : objects) {
      net::Body body{.pieces = {object.content.bytes()}, .owner = object.content.owner()};
      transfers_.start_whole_upload(object.path, std::move(body), transfers_.write_headers(), [gathered] {
        if (--gathered->first == 0) gathered->second();
      });
    }
  }

 private:
  static S3Options options_of(const S3Storage& storage) {
    S3Options options = storage.transfers_.client().options();
    options.transfers = options.background_transfers;
    return options;
  }

  S3Transfers transfers_;
};

std::unique_ptr<BackgroundStorage> S3Storage::in_background(base::EventLoop& loop) {
  return std::make_unique<Background>(*this, loop);
}

}  // namespace metaflow::store
