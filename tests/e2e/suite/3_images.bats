#!/usr/bin/env bats
# Runs side by side on one machine: the same sources give them the same images.

load lib

teardown_file() {
	"$KIND_EXPERIMENTAL_PROVIDER" rmi "localhost/gitgate/agent:$tag-"{mine,theirs} "$(cat "$BATS_FILE_TMPDIR/id")" || :
}

@test "what one run removes is neither another's name nor an image that another's build is about to name" {
	mine=$tag-mine theirs=$tag-theirs
	date +%N >"$BATS_TEST_TMPDIR/content"
	"$KIND_EXPERIMENTAL_PROVIDER" build -t "$(tag=$mine image agent)" -f - "$BATS_TEST_TMPDIR" <<-'END'
		FROM scratch
		COPY content /
	END
	id=$("$KIND_EXPERIMENTAL_PROVIDER" image inspect -f '{{.Id}}' "$(tag=$mine image agent)")
	echo "$id" >"$BATS_FILE_TMPDIR/id"
	"$KIND_EXPERIMENTAL_PROVIDER" tag "$id" "$(tag=$theirs image agent)"
	tag=$mine remove_images
	run ! "$KIND_EXPERIMENTAL_PROVIDER" image inspect "$(tag=$mine image agent)"
	"$KIND_EXPERIMENTAL_PROVIDER" image inspect "$(tag=$theirs image agent)"
	[ "$KIND_EXPERIMENTAL_PROVIDER" = podman ] || return 0 # docker has no untag
	tag=$theirs remove_images
	run ! podman image inspect "$(tag=$theirs image agent)"
	podman tag "$id" "$(tag=$mine image agent)"
}
