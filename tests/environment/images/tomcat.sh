# tomcat:9 and tomcat:10 on jre:17, laid out as the official `tomcat` images: CATALINA_HOME=/usr/local/tomcat with
# real files where Debian has links. Debian 12 has all of Tomcat 10.1 and the libraries of Tomcat 9 without its
# scripts and configuration; those of 10.1 fit after the changes below. Sourced by `build`.

tomcat_layers() {
    tomcat_layer 10 "$packages/libtomcat10-java/usr/share/java"
    tomcat_layer 9 "$packages/libtomcat9-java/usr/share/java"
}

# tomcat_layer MAJOR JARS
tomcat_layer() {
    local major=$1 jars=$2 root=$work/tomcat$1 home=$work/tomcat$1/usr/local/tomcat link target jar
    local common=$packages/tomcat10-common/usr/share/tomcat10 configuration=$packages/tomcat10/usr/share/tomcat10/etc
    mkdir -p "$home"/{bin,conf,lib,logs,temp,webapps,work}
    chmod 1777 "$home"/{logs,temp,work}
    cp "$common"/bin/*.sh "$home/bin/"
    chmod 755 "$home"/bin/*.sh
    cp "$configuration"/* "$home/conf/"
    # Debian's links say how the official names and its own belong together: catalina.jar -> …/tomcat10-catalina.jar.
    for link in "$common"/lib/*.jar "$common/bin/tomcat-juli.jar"; do
        target=$(basename "$(readlink "$link")")
        jar=$jars/tomcat$major-${target#tomcat10-}
        # Tomcat 9 has fewer libraries and translations.
        [ -e "$jar" ] || [ "$major" = 9 ] || {
            echo "Tomcat $major: $jar is missing" >&2
            return 1
        }
        [ ! -e "$jar" ] || cp --dereference "$jar" "$home/$(basename "$(dirname "$link")")/$(basename "$link")"
    done
    cp --dereference "$packages/libeclipse-jdt-core-java/usr/share/java/eclipse-jdt-core.jar" "$home/lib/ecj.jar"
    # What Debian changed: no shutdown port, and log lines for systemd.
    sed -i 's/<Server port="-1"/<Server port="8005"/' "$home/conf/server.xml"
    sed -i 's/org.apache.juli.SystemdFormatter/org.apache.juli.OneLineFormatter/' "$home/conf/logging.properties"
    if [ "$major" = 9 ]; then
        tomcat9_bootstrap "$jars" "$common/bin/bootstrap.jar" "$home/bin/bootstrap.jar"
        # The same servlets and types, in the namespace of Java EE 8 (Servlet 4.0).
        sed -i -e 's|https://jakarta.ee/xml/ns/jakartaee/web-app_6_0.xsd|http://xmlns.jcp.org/xml/ns/javaee/web-app_4_0.xsd|' \
            -e 's|https://jakarta.ee/xml/ns/jakartaee|http://xmlns.jcp.org/xml/ns/javaee|' \
            -e 's|version="6.0">|version="4.0">|' "$home/conf/web.xml"
        if grep --quiet jakarta "$home/conf/web.xml"; then
            echo "Tomcat 9: web.xml still speaks of jakarta" >&2
            return 1
        fi
    else
        cp --dereference "$common/bin/bootstrap.jar" "$home/bin/bootstrap.jar"
    fi
    layer "tomcat$major" "$root" usr/local/tomcat
}

# tomcat9_bootstrap JARS PATTERN OUT: bootstrap.jar is a selection of the classes of catalina.jar and tomcat-util.jar with a
# manifest; the selection is read from Tomcat 10's.
tomcat9_bootstrap() {
    local jars=$1 pattern=$2 out=$3 classes=$work/bootstrap jar names
    mkdir -p "$classes/META-INF"
    for jar in "$jars"/tomcat9-{catalina,util}.jar; do
        mapfile -t names < <(comm -12 <(unzip -Z1 "$pattern" | grep -E '^org/.*[^/]$' | sort) <(unzip -Z1 "$jar" | sort))
        unzip -q "$jar" "${names[@]}" -d "$classes"
    done
    printf 'Manifest-Version: 1.0\nMain-Class: org.apache.catalina.startup.Bootstrap\n' >"$classes/META-INF/MANIFEST.MF"
    (cd "$classes" && find . -exec touch --date="@$SOURCE_DATE_EPOCH" {} + && zip -q -X -r "$out" META-INF org)
}

tomcat_images() {
    local major
    for major in 9 10; do
        image "b2i-test/tomcat:$major" "{
            Env: ([\"PATH=/usr/local/tomcat/bin:/opt/java/openjdk/bin:$debian_path\", \"CATALINA_HOME=/usr/local/tomcat\",
                   \"TOMCAT_MAJOR=$major\"] + $jre_environment),
            WorkingDir: \"/usr/local/tomcat\", ExposedPorts: {\"8080/tcp\": {}},
            Entrypoint: [\"/__cacert_entrypoint.sh\"], Cmd: [\"catalina.sh\", \"run\"]}" glibc jre "tomcat$major"
    done
}
