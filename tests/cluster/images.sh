# shellcheck shell=bash
# Container images put together from tar archives, without a container engine:
# the same layers always give the same image.  Sourced after lib.sh; works in
# $tmp (see scratch).
# shellcheck disable=SC2154

# layer NAME FILE PATH : makes the layer NAME, which puts FILE at PATH
layer() {
	mkdir -p "$tmp/images"
	install -D -m755 "$2" "$tmp/layer/$3"
	tar -C "$tmp/layer" --sort=name --owner=0 --group=0 --mtime="@$EPOCH" -cf "$tmp/images/$1" .
	rm -r "$tmp/layer"
}

# image REF CONFIG LAYER... : adds to the archive an image of these files in
# $tmp/images; CONFIG is JSON such as {"Cmd": ["bash"]}
image() {
	local ref=$1 config=$2 file sums=()
	shift 2
	for file; do
		sums+=("sha256:$(sha256sum "$tmp/images/$file" | cut -d' ' -f1)")
	done
	file=$(key "$ref").json
	jq -n --argjson config "$config" --arg arch "$(dpkg --print-architecture)" \
		--arg created "$(date -u -d "@$EPOCH" +%FT%TZ)" '{
			architecture: $arch, os: "linux", created: $created,
			config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]} + $config),
			history: ($ARGS.positional | map({created: $created})),
			rootfs: {type: "layers", diff_ids: $ARGS.positional}}' \
		--args "${sums[@]}" >"$tmp/images/$file"
	jq -n --arg ref "$ref" --arg config "$file" \
		'{Config: $config, RepoTags: [$ref], Layers: $ARGS.positional}' --args "$@" >>"$tmp/manifests"
}

# image_archive FILE : writes the images added so far as a docker-archive
image_archive() {
	jq -s . "$tmp/manifests" >"$tmp/images/manifest.json"
	tar -C "$tmp/images" -h -cf "$1" .
	rm -r "$tmp/images" "$tmp/manifests"
}
