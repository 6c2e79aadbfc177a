# shellcheck shell=bash
# Sourced by lib.bash: the server of the upstreams for https, nginx in front of git http-backend, with
# all that a git server does to its clients:
#
#   https://127.0.0.1:$HTTPS_PORT<path>   for "agent" with $PASSWORD, or "x-access-token" with $TOKEN
#            .../open<path>               the same repository for everybody, read-only
#            .../moved<path>              a redirect to it on this server
#            .../elsewhere<path>          a redirect to another server, .../plain to one without TLS
#            .../throttled, .../broken    429 and 503
#   https://127.0.0.1:$EXPIRED_PORT       the same with a certificate that has expired
#   https://localhost:$HTTPS_PORT         the certificate does not name this host
#
# What the other servers are asked is in $BED/nginx/others.log, with its Authorization header.

# The authority, and what it signs: certificates last an hour. No key is kept in any file of the project.
make_authority() {
    mkdir -p "$BED/ca"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=$1" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
        -keyout "$BED/ca/$1.key" -out "$BED/ca/$1.crt" 2>/dev/null
}

# make_certificate NAME AUTHORITY START END : for 127.0.0.1 and git.example.com, valid from START to END (as date reads them)
make_certificate() {
    local dir=$BED/ca/$1
    mkdir "$dir"
    : >"$dir/index"
    printf '[ca]\ndefault_ca = this\n[this]\npolicy = any\nx509_extensions = ext\ndatabase = %s\n' "$dir/index" >"$dir/config"
    printf 'default_md = sha256\nnew_certs_dir = %s\nrand_serial = yes\n' "$dir" >>"$dir/config"
    printf '[any]\ncommonName = supplied\n[ext]\nsubjectAltName = IP:127.0.0.1,DNS:git.example.com\n' >>"$dir/config"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$dir/key" -out "$dir/request" 2>/dev/null
    openssl ca -batch -notext -config "$dir/config" -cert "$BED/ca/$2.crt" -keyfile "$BED/ca/$2.key" \
        -startdate "$(date -u -d "$3" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$4" +%Y%m%d%H%M%SZ)" \
        -in "$dir/request" -out "$dir/crt" 2>/dev/null
}

# A word of its own, so that a search for it finds nothing else.
random_word() {
    LC_ALL=C tr -dc 'a-z0-9' </dev/urandom | head -c 24
}

write_passwords() {
    PASSWORD=$(random_word)
    TOKEN=$(random_word)
    {
        printf 'agent:%s\n' "$(openssl passwd -apr1 -in <(printf '%s' "$PASSWORD"))"
        printf 'x-access-token:%s\n' "$(openssl passwd -apr1 -in <(printf '%s' "$TOKEN"))"
    } >"$BED/nginx/users"
    (umask 077 && printf '%s\n%s\n' "$PASSWORD" "$TOKEN" >"$BED/passwords")
}

# In each test's own shell, and never exported: the gate's environment is looked at.
[ ! -e "${BED:-}/passwords" ] || { read -r PASSWORD && read -r TOKEN; } <"$BED/passwords"

# git-http-backend(1); paths of URLs are those of files, as they are for ssh.
write_backend_params() {
    cat >"$BED/nginx/backend" <<-END
	fastcgi_pass unix:$BED/nginx/fcgi;
	fastcgi_read_timeout 600;
	fastcgi_buffering off;
	fastcgi_param SCRIPT_FILENAME $(git --exec-path)/git-http-backend;
	fastcgi_param GIT_PROJECT_ROOT /;
	fastcgi_param GIT_HTTP_EXPORT_ALL 1;
	fastcgi_param HOME /nonexistent;
	fastcgi_param QUERY_STRING \$query_string;
	fastcgi_param REQUEST_METHOD \$request_method;
	fastcgi_param CONTENT_TYPE \$content_type;
	fastcgi_param CONTENT_LENGTH \$content_length;
	fastcgi_param REMOTE_ADDR \$remote_addr;
	END
}

write_nginx_config() {
    local dir=$BED/nginx
    write_backend_params
    cat >"$dir/locations" <<-END
	location / {
	    auth_basic git;
	    auth_basic_user_file $dir/users;
	    include $dir/backend;
	    fastcgi_param REMOTE_USER \$remote_user;
	    fastcgi_param PATH_INFO \$uri;
	}
	location ~ ^/open(?<repo>/.*)\$ {
	    include $dir/backend;
	    fastcgi_param PATH_INFO \$repo;
	}
	location ~ ^/moved(?<repo>/.*)\$ { return 301 https://127.0.0.1:$HTTPS_PORT\$repo\$is_args\$args; }
	location ~ ^/elsewhere(?<repo>/.*)\$ { return 302 https://127.0.0.1:$OTHER_PORT/open\$repo\$is_args\$args; }
	location ~ ^/plain(?<repo>/.*)\$ { return 307 http://127.0.0.1:$PLAIN_PORT/open\$repo\$is_args\$args; }
	location /throttled/ { return 429; }
	location /broken/ { return 503; }
	END
    cat >"$dir/config" <<-END
	daemon off;
	pid $dir/pid;
	worker_processes 1;
	events { worker_connections 500; }
	http {
	    log_format asked '\$request "\$http_authorization"';
	    access_log $dir/access.log;
	    client_body_temp_path $dir/tmp;
	    fastcgi_temp_path $dir/tmp;
	    proxy_temp_path $dir/tmp;
	    scgi_temp_path $dir/tmp;
	    uwsgi_temp_path $dir/tmp;
	    client_max_body_size 0;
	    server {
	        listen 127.0.0.1:$HTTPS_PORT ssl;
	        ssl_certificate $BED/ca/server/crt;
	        ssl_certificate_key $BED/ca/server/key;
	        include $dir/locations;
	    }
	    server {
	        listen 127.0.0.1:$EXPIRED_PORT ssl;
	        ssl_certificate $BED/ca/expired/crt;
	        ssl_certificate_key $BED/ca/expired/key;
	        include $dir/locations;
	    }
	    server {
	        listen 127.0.0.1:$OTHER_PORT ssl;
	        ssl_certificate $BED/ca/server/crt;
	        ssl_certificate_key $BED/ca/server/key;
	        access_log $dir/others.log asked;
	        include $dir/locations;
	    }
	    server {
	        listen 127.0.0.1:$PLAIN_PORT;
	        access_log $dir/others.log asked;
	        include $dir/locations;
	    }
	}
	END
}

# as_server COMMAND... : as the server's user, whose the repositories are
as_server() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid 64942 --regid 64942 --clear-groups env HOME=/nonexistent "$@"
    else
        exec "$@"
    fi
}

start_nginx() {
    rm -f "$BED/nginx/fcgi"
    (as_server setsid fcgiwrap -c 16 -s "unix:$BED/nginx/fcgi") 2>>"$BED/nginx.err" 3>&- &
    echo $! >"$BED/fcgi.pid"
    (as_server setsid nginx -e "$BED/nginx/error.log" -c "$BED/nginx/config") 2>>"$BED/nginx.err" 3>&- &
    echo $! >"$BED/nginx.pid"
    wait_for 10 test -S "$BED/nginx/fcgi"
    wait_for 10 bash -c "exec 4<>/dev/tcp/127.0.0.1/$HTTPS_PORT"
}

# With the repositories' programs that they run.
stop_nginx() {
    local name pid
    for name in nginx fcgi; do
        [ -e "$BED/$name.pid" ] || continue
        pid=$(cat "$BED/$name.pid")
        rm "$BED/$name.pid"
        kill -- "-$pid" 2>/dev/null || continue
        wait_for 20 gone "$pid"
    done
}

make_https_server() {
    mkdir -p "$BED/nginx/tmp" "$BED/srv"
    HTTPS_PORT=$(free_port)
    EXPIRED_PORT=$(free_port)
    OTHER_PORT=$(free_port)
    PLAIN_PORT=$(free_port)
    export HTTPS_PORT EXPIRED_PORT OTHER_PORT PLAIN_PORT
    make_authority ours
    make_authority other
    make_certificate server ours "1 hour ago" "1 hour"
    make_certificate expired ours "2 hours ago" "1 hour ago"
    write_passwords
    write_nginx_config
    touch "$BED/nginx/others.log"
    [ "$(id -u)" != 0 ] || chown -R 64942:64942 "$BED/nginx" "$BED/ca"
    start_nginx
}
